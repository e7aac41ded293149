//! Jobs that stay up: rounds of reading whenever a source has something new, checkpoints while they go on.
//!
//! Sources that can tell wake the loop; the others are asked every [`POLL`]. Rounds begin at most once an
//! [`epoch_interval`](super::RunOptions::epoch_interval), so that a busy source makes epochs of that length; a backlog is
//! cut into larger ones. A record that is still being written is left for a later round. A source that cannot be asked
//! just now is asked again; the others go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::{ErrorKind, Partition, Result, Retry, Unfinished, Wake};
use crossbeam_channel::{Receiver, bounded, never, select};

use super::coordinator::{Runtime, STOP_POLL};

/// How often sources that cannot tell are asked.
const POLL: Duration = Duration::from_millis(500);

/// How long a source may fail to answer before the job ends.
const PATIENCE: Duration = Duration::from_secs(60);

impl Runtime {
    /// Keeps the views up to date until told to stop. Takes a checkpoint when one is due and something has changed.
    ///
    /// # Errors
    /// Any error ends the run; what is committed stays. A source that is out of reach for a minute is one.
    pub fn stay(&mut self) -> Result<()> {
        let (knock, woken) = bounded(1);
        let wake: Wake = Arc::new(move || {
            // A knock that waits already is enough.
            let _ = knock.try_send(());
        });
        let watch = |source: &super::JobSource| source.source.watch(wake.clone());
        let watches = self.spec.sources.iter().map(watch).collect::<Result<Vec<_>>>()?;
        let polled = watches.iter().any(Option::is_none);
        let mut failing: Vec<Option<Instant>> = vec![None; self.spec.sources.len()];
        while !self.stopped() {
            let began = Instant::now();
            // Before looking: what comes after it wakes the next round.
            woken.try_iter().for_each(drop);
            let found = self.look(&mut failing)?;
            self.round(found, Unfinished::Leave)?;
            if self.last_checkpoint.elapsed() >= self.options.checkpoint_interval {
                self.begin_checkpoint()?;
            }
            let poll = if polled || failing.iter().any(Option::is_some) { POLL } else { Duration::MAX };
            self.rest(began, poll, &woken)?;
        }
        Ok(())
    }

    /// What every source has now. A source that fails for a while is left out.
    fn look(&self, failing: &mut [Option<Instant>]) -> Result<Vec<(usize, Vec<Partition>)>> {
        let mut found = Vec::with_capacity(failing.len());
        for (index, (source, failing)) in self.spec.sources.iter().zip(failing).enumerate() {
            match source.source.discover(&self.sources[&source.name].positions) {
                Ok(partitions) => {
                    *failing = None;
                    found.push((index, partitions));
                }
                // Somebody may put something there.
                Err(error) if error.kind() == ErrorKind::Empty => {
                    if failing.replace(Instant::now()).is_none() {
                        tracing::warn!(source = source.name, error = error.chain(), "waiting");
                    }
                    found.push((index, Vec::new()));
                }
                Err(error) if error.retry() == Retry::Never => return Err(error),
                Err(error) if failing.is_some_and(|since| since.elapsed() >= PATIENCE) => return Err(error),
                Err(error) => {
                    failing.get_or_insert_with(Instant::now);
                    tracing::warn!(
                        source = source.name,
                        error = error.chain(),
                        "a source does not answer, asking again"
                    );
                }
            }
        }
        Ok(found)
    }

    /// Waits for the next round: an epoch's length since the last began, then until woken, until `poll` is over, or until
    /// a checkpoint is due. Sees checkpoints that are on their way to their end meanwhile.
    fn rest(&mut self, began: Instant, poll: Duration, woken: &Receiver<()>) -> Result<()> {
        let paced = self.options.epoch_interval;
        let mut is_woken = false;
        while !self.stopped() {
            let age = began.elapsed();
            let due = self.is_dirty() && self.last_checkpoint.elapsed() >= self.options.checkpoint_interval;
            let told = is_woken || self.has_refused();
            if age >= paced && (told || age >= poll || (due && !self.is_committing())) {
                return Ok(());
            }
            let wait = if age < paced { paced - age } else { poll.saturating_sub(age) };
            let knocks = if is_woken { &never() } else { woken };
            let committed = self.committed();
            select! {
                recv(knocks) -> _ => is_woken = true,
                recv(committed) -> _ => self.join_commit()?,
                default(wait.min(STOP_POLL)) => {}
            }
        }
        Ok(())
    }
}
