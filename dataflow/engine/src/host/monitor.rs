//! A shared value that threads wait on, and what is made of it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Host;

/// A wait with a deadline looks at the clock this often: a clock need not be the system's.
const LOOK: Duration = Duration::from_millis(50);

/// A value that is changed by some threads and waited on by others.
pub struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
    host: Host,
}

impl<T> Monitor<T> {
    /// A monitor of `value`.
    pub fn new(host: &Host, value: T) -> Self {
        Monitor { value: Mutex::new(value), changed: Condvar::new(), host: host.clone() }
    }

    /// Looks at the value, or changes what nobody waits for.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes the value and wakes all that wait.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let answer = self.with(change);
        self.changed.notify_all();
        self.notify_simulated();
        answer
    }

    /// Changes the value and wakes one of those that wait: for values that each waits for in the same way.
    pub fn update_one<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let answer = self.with(change);
        self.changed.notify_one();
        self.notify_simulated();
        answer
    }

    /// Waits until `take` has an answer.
    pub fn wait<R>(&self, mut take: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            if let Some(answer) = self.wait_until(None, &mut take) {
                return answer;
            }
        }
    }

    /// Waits until `take` has an answer, or until `deadline`: then `None`.
    pub fn wait_until<R>(&self, deadline: Option<Instant>, mut take: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let mut value = self.lock();
        loop {
            if let Some(answer) = take(&mut value) {
                return Some(answer);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(self.host.now()));
            if let Some(schedule) = &self.host.schedule {
                drop(value);
                if left == Some(Duration::ZERO) {
                    schedule.pass();
                    return self.with(&mut take);
                }
                schedule.wait(self.address(), deadline);
                value = self.lock();
                continue;
            }
            value = match left {
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    let waited = self.changed.wait_timeout(value, left.min(LOOK));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(value).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// A thread that panics inside a closure leaves the value between two changes at worst; the run ends for it.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify_simulated(&self) {
        if let Some(schedule) = &self.host.schedule {
            schedule.notify(self.address());
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>() as usize
    }
}

/// Messages in order, from several threads to one. It has no bound of its own: whoever pushes keeps to one.
pub struct Queue<T>(Monitor<(VecDeque<T>, bool)>);

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new(host: &Host) -> Self {
        Queue(Monitor::new(host, (VecDeque::new(), false)))
    }

    /// Adds a message; lost if the queue is closed.
    pub fn push(&self, message: T) {
        let lost = self.0.update_one(|(messages, closed)| match *closed {
            true => Some(message),
            false => {
                messages.push_back(message);
                None
            }
        });
        // Not under the lock: a reply that is dropped wakes others.
        drop(lost);
    }

    /// The next message; waits for one. `None` once the queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        self.0.wait(|(messages, closed)| match messages.pop_front() {
            None if !*closed => None,
            next => Some(next),
        })
    }

    /// The next message, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        self.0.with(|(messages, _)| messages.pop_front())
    }

    /// Waits for a message, or until `deadline`, and leaves it where it is.
    pub fn await_message(&self, deadline: Instant) {
        self.0.wait_until(Some(deadline), |(messages, _)| (!messages.is_empty()).then_some(()));
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.0.with(|(messages, _)| messages.is_empty())
    }

    /// Whether it is closed and empty.
    pub fn is_over(&self) -> bool {
        self.0.with(|(messages, closed)| *closed && messages.is_empty())
    }

    /// Closes the queue and drops what is in it.
    pub fn abandon(&self) {
        let messages = self.0.update(|(messages, closed)| {
            *closed = true;
            std::mem::take(messages)
        });
        // Not under the lock: replies that are dropped wake others.
        drop(messages);
    }

    /// Takes no more messages; what is in it can still be taken out.
    pub fn close(&self) {
        self.0.update(|(_, closed)| *closed = true);
    }
}

enum Mail<T> {
    Open,
    Here(T),
    Never,
}

/// Where an answer is given, once. Dropped without one, nobody waits for it any more.
pub struct Reply<T>(Arc<Monitor<Mail<T>>>);

/// An answer that somebody will give.
pub struct Answer<T>(Arc<Monitor<Mail<T>>>);

/// A question's two ends.
pub fn reply<T>(host: &Host) -> (Reply<T>, Answer<T>) {
    let mail = Arc::new(Monitor::new(host, Mail::Open));
    (Reply(mail.clone()), Answer(mail))
}

impl<T> Reply<T> {
    /// Answers.
    pub fn give(self, answer: T) {
        self.0.update(|mail| *mail = Mail::Here(answer));
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.0.update(|mail| {
            if matches!(mail, Mail::Open) {
                *mail = Mail::Never;
            }
        });
    }
}

impl<T> Answer<T> {
    /// Waits for the answer until `deadline`; `None` if none came.
    pub fn wait_until(self, deadline: Instant) -> Option<T> {
        let answer = self.0.wait_until(Some(deadline), |mail| match std::mem::replace(mail, Mail::Open) {
            Mail::Open => None,
            Mail::Here(answer) => Some(Some(answer)),
            Mail::Never => Some(None),
        });
        answer.flatten()
    }

    /// Waits for the answer; `None` if whoever should give it has ended.
    pub fn wait(self) -> Option<T> {
        self.0.wait(|mail| match std::mem::replace(mail, Mail::Open) {
            Mail::Open => None,
            Mail::Here(answer) => Some(Some(answer)),
            Mail::Never => Some(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Simulation;

    #[test]
    fn a_queue_keeps_order_and_ends() {
        let host = Host::system();
        let queue = Arc::new(Queue::new(&host));
        let other = queue.clone();
        let push = move || {
            (0..100).for_each(|number| other.push(number));
            other.close();
            other.push(100);
        };
        host.spawn("push", push, |payload| std::panic::resume_unwind(payload)).expect("room for a thread");
        let taken: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_that_nobody_can_give_is_not_waited_for() {
        let host = Host::system();
        let (given, answer) = reply::<u32>(&host);
        given.give(7);
        assert_eq!(answer.wait(), Some(7));
        let (never, answer) = reply::<u32>(&host);
        host.spawn("panics", move || panic!("with {}", u8::from(never.0.with(|_| true))), drop).expect("room");
        assert_eq!(answer.wait(), None);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (simulation, host) = Simulation::begin(1);
        let monitor = Monitor::new(&host, ());
        let began = host.now();
        assert_eq!(monitor.wait_until(Some(began + Duration::from_secs(60)), |()| None::<()>), None);
        assert_eq!(host.since(began), Duration::from_secs(60), "the clock moves when all wait");
        drop(simulation);
        let host = Host::system();
        let monitor = Monitor::new(&host, ());
        assert_eq!(monitor.wait_until(Some(host.now() + Duration::from_millis(1)), |()| None::<()>), None);
    }
}
