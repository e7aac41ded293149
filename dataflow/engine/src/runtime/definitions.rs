//! What may change in a job's text between two runs, and what becomes of it.
//!
//! | since the last checkpoint | |
//! |---|---|
//! | a view or a sink is new, or the run resets the sink | the sink takes everything that ever arrived |
//! | a sink is gone | what it wrote stays as it is; should it come back, it is new: it missed epochs that are not told apart any more |
//! | a source is gone | its positions and arrivals stay; should it come back, it goes on |
//! | a source is another one: its system, format or key | refused: what was kept is not what would have come |
//! | more columns are read of a source | refused: what has arrived was kept without them |
//! | fewer columns are read of a source | they are left out of what was kept |
//! | a sink's relation is another one | refused |
//! | views were added, removed or changed, and with them what `rejects` holds | a sink of it, or of a relation that reads it, that can begin anew does; else refused |

use std::collections::BTreeMap;

use catchment_contract::options::nearest;
use catchment_contract::reject::REJECTS;
use catchment_contract::{Error, Relation, Result};

use super::job::{JobSink, JobSpec};
use crate::checkpoint::{Manifest, SinkState, SourceState};

/// Whether the job, whose inputs are `states`, fits what `manifest` says; nothing is asked of the sinks `reset`.
///
/// # Errors
/// [`catchment_contract::Fault::User`] if it does not, or has no sink of a name in `reset`; names what differs and the way
/// out.
pub(super) fn check(
    spec: &JobSpec,
    states: &BTreeMap<String, SourceState>,
    manifest: &Manifest,
    reset: &[String],
) -> Result<()> {
    if let Some(name) = reset.iter().find(|name| spec.sinks.iter().all(|sink| sink.name != **name)) {
        let names = spec.sinks.iter().map(|sink| sink.name.as_str());
        let hint = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("its sinks are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(
            Error::user(format!("cannot reset sink \"{name}\": the job has no sink of that name")).with_hint(hint)
        );
    }
    for (name, now) in states {
        if let Some(kept) = manifest.sources.get(name) {
            check_source(name, kept, now)?;
        }
    }
    for sink in spec.sinks.iter().filter(|sink| !reset.contains(&sink.name)) {
        if let Some(state) = manifest.sinks.get(&sink.name) {
            stays(sink, state)?;
        }
    }
    Ok(())
}

/// Takes out of `manifest`, which was checked, the sinks that begin anew, those to be `reset` among them, and those that are
/// gone.
///
/// # Errors
/// As [`check`].
pub(super) fn fit(
    spec: &JobSpec,
    states: &BTreeMap<String, SourceState>,
    manifest: &mut Manifest,
    reset: &[String],
) -> Result<()> {
    let mut known = std::mem::take(&mut manifest.sinks);
    for sink in &spec.sinks {
        if let Some(state) = known.remove(&sink.name) {
            if reset.contains(&sink.name) {
                tracing::info!(sink = sink.name, "the sink begins anew");
            } else if stays(sink, &state)? {
                manifest.sinks.insert(sink.name.clone(), state);
            } else {
                let sink = &sink.name;
                tracing::warn!(sink, "views were added, removed or changed, and with them rejects: it is written anew");
            }
        }
    }
    for sink in known.keys() {
        tracing::warn!(
            sink,
            "the job no longer has this sink: what it wrote stays, and it begins anew should it come back"
        );
    }
    for source in manifest.sources.keys().filter(|name| !states.contains_key(*name)) {
        tracing::warn!(
            source,
            "no sink of the job reads this source any more: it goes on from here should that change"
        );
    }
    Ok(())
}

/// What tells a source from another one of the same name.
pub(super) fn source_definition(definition: &str, relation: &Relation) -> String {
    let key: Vec<&str> = relation.key.iter().map(|column| relation.schema.field(*column).name().as_str()).collect();
    match key.is_empty() {
        true => definition.to_owned(),
        false => format!("{definition}, keyed by {}", key.join(", ")),
    }
}

fn check_source(name: &str, kept: &SourceState, now: &SourceState) -> Result<()> {
    if kept.definition != now.definition {
        return Err(Error::user(format!(
            "source \"{name}\" is {}, and was {} when the lake was last written",
            now.definition, kept.definition
        ))
        .with_hint("write it as it was, or add --reset once to load everything anew"));
    }
    let new: Vec<&str> =
        now.columns.iter().filter(|column| !kept.columns.contains(column)).map(String::as_str).collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(Error::user(format!("the job reads columns of source \"{name}\" that were not kept: {}", new.join(", ")))
        .with_hint("add --reset once to load everything anew"))
}

/// Whether a sink goes on from `state`; else it begins anew.
fn stays(sink: &JobSink, state: &SinkState) -> Result<bool> {
    if state.fingerprint == sink.fingerprint {
        return Ok(true);
    }
    let (from, name) = (&sink.from, &sink.name);
    if state.from != *from {
        return Err(Error::user(format!(
            "sink \"{name}\" now takes relation \"{from}\"; it used to take \"{}\"",
            state.from
        ))
        .with_hint("give it another name and target, or add --reset once to load everything anew"));
    }
    if (from == REJECTS || own(&state.fingerprint) == own(&sink.fingerprint)) && sink.spec.can_begin_anew() {
        return Ok(false);
    }
    let hint = if format_of(&state.fingerprint) != format_of(&sink.fingerprint) {
        "it was written by a build that tells definitions in another way: run that build, or add --reset once to load everything anew"
    } else if from == REJECTS || own(&state.fingerprint) == own(&sink.fingerprint) {
        "views were added, removed or changed since the last run, and what they reject is in it: give the sink another name and topic, or add --reset once to load everything anew"
    } else {
        "its definition has changed since the last run: add --reset once to load everything anew, or give the sink another name and table"
    };
    let message = format!("relation \"{from}\" of sink \"{name}\" has changed since the lake was written");
    Err(Error::user(message).with_hint(hint))
}

/// Of a fingerprint what is the relation's own.
fn own(fingerprint: &str) -> &str {
    fingerprint.split_once('+').map_or(fingerprint, |(own, _rejects)| own)
}

/// The format that a fingerprint begins with.
fn format_of(fingerprint: &str) -> Option<&str> {
    fingerprint.split_once(':').map(|(format, _)| format)
}
