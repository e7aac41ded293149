//! What may change in a job's text between two runs, and what becomes of it.
//!
//! | since the last checkpoint | |
//! |---|---|
//! | a view or a sink is new | the sink takes everything that ever arrived |
//! | a sink is gone | what it wrote stays as it is; should it come back, it is new: it missed epochs that are not told apart any more |
//! | a source is gone | its positions and arrivals stay; should it come back, it goes on |
//! | a source is another one: its system, format or key, or the columns that are read of it | refused: what was kept is not what would have come |
//! | a sink's relation is another one | refused |
//! | views were added or removed, and with them what `rejects` holds | a sink of it that can begin anew does; else refused |

use std::collections::BTreeMap;

use catchment_contract::{Error, Relation, Result};

use super::job::{JobSink, JobSpec, REJECTS};
use crate::checkpoint::{Manifest, SinkState, SourceState};

/// Takes out of `manifest` the sinks that begin anew, and those that are gone.
///
/// # Errors
/// [`catchment_contract::Fault::User`] if the job does not fit what the lake holds; names what differs and the way out.
pub(super) fn fit(spec: &JobSpec, states: &BTreeMap<String, SourceState>, manifest: &mut Manifest) -> Result<()> {
    for (name, now) in states {
        if let Some(kept) = manifest.sources.get(name) {
            check_source(name, kept, now)?;
        }
    }
    let mut known = std::mem::take(&mut manifest.sinks);
    for sink in &spec.sinks {
        if let Some(state) = known.remove(&sink.name)
            && stays(sink, &state)?
        {
            manifest.sinks.insert(sink.name.clone(), state);
        }
    }
    for sink in known.keys() {
        tracing::warn!(
            sink,
            "the job has this sink no more: what it wrote stays, and it begins anew should it come back"
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
    if kept.columns == now.columns {
        return Ok(());
    }
    let only = |left: &SourceState, right: &SourceState| {
        let missing = left.columns.iter().filter(|column| !right.columns.contains(column));
        missing.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let difference = match (only(now, kept), only(kept, now)) {
        (new, gone) if new.is_empty() && gone.is_empty() => "the last run kept them in another order".to_owned(),
        (new, gone) if new.is_empty() => format!("the last run kept {gone} too"),
        (new, _) => format!("the last run did not keep {new}"),
    };
    Err(Error::user(format!("the job reads other columns of source \"{name}\" than the lake keeps"))
        .with_hint(format!("{difference}: add --reset once to load everything anew")))
}

/// Whether a sink goes on from `state`; else it begins anew.
fn stays(sink: &JobSink, state: &SinkState) -> Result<bool> {
    if state.fingerprint == sink.fingerprint {
        return Ok(true);
    }
    if sink.from == REJECTS && sink.spec.can_begin_anew() {
        tracing::info!(sink = sink.name, "views were added or removed, and with them rejects: they are written anew");
        return Ok(false);
    }
    let (from, name) = (&sink.from, &sink.name);
    Err(Error::user(format!("relation \"{from}\" of sink \"{name}\" is not the one that the lake holds")).with_hint(
        match from.as_str() {
            REJECTS => "views were added or removed since the last run, and what they reject is in it: give the sink another name and topic, or add --reset once to load everything anew",
            _ => "its definition has changed since the last run: add --reset once to load everything anew, or give the sink another name and table",
        },
    ))
}
