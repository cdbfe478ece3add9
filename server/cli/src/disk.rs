//! Work on the disk: on threads that may block, so many jobs at once and no
//! more.

mod handles;
mod identity;
mod root;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

pub(crate) use self::{
    handles::{Handles, IDLE_HANDLE},
    identity::Identity,
    root::{Links, Opened, Root, below},
};
use crate::failure::Failure;

/// Time for a job to begin and to end. A network disk whose server is gone
/// never answers.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that wait for a job of one kind to begin.
const MAX_WAITING: usize = 4096;
/// The most jobs of each kind at once, whatever the limit of open files is.
const MAX_LOOKUPS: usize = 32;
const MAX_READS: usize = 32;
const MAX_LISTINGS: usize = 2;
/// Handles that a job has open at once: a directory and what is in it; and the
/// directory's own list of names.
const HANDLES_OF_FILE_JOB: usize = 2;
const HANDLES_OF_LISTING: usize = 3;

/// The fewest files that have to be open at once for every kind of work.
pub(crate) const MIN_OPEN_FILES: usize = 16;

/// The queues for the disk. Each kind of work has its own, so that pages of
/// large directories do not hold up files.
pub(crate) struct Disk {
    pub(crate) lookups: Lane,
    pub(crate) reads: Lane,
    pub(crate) listings: Lane,
    pub(crate) handles: Handles,
}

impl Disk {
    /// Divides `max_open_files`: what jobs do not need at once keeps files open
    /// between the reads of one response.
    pub(crate) fn new(max_open_files: usize) -> Self {
        let max = max_open_files.max(MIN_OPEN_FILES);
        let lookups = (max / 8).min(MAX_LOOKUPS);
        let reads = (max / 8).min(MAX_READS);
        let listings = (max / 32).clamp(1, MAX_LISTINGS);
        let jobs = (lookups + reads) * HANDLES_OF_FILE_JOB + listings * HANDLES_OF_LISTING;
        Self {
            lookups: Lane::new("look-ups", lookups, max_open_files),
            reads: Lane::new("reads", reads, max_open_files),
            listings: Lane::new("directory pages", listings, max_open_files),
            handles: Handles::new(max.saturating_sub(jobs)),
        }
    }
}

/// A queue of jobs that block.
pub(crate) struct Lane {
    name: &'static str,
    at_once: Arc<Semaphore>,
    max: usize,
    max_open_files: usize,
    waiting: AtomicUsize,
}

impl Lane {
    fn new(name: &'static str, max: usize, max_open_files: usize) -> Self {
        Self {
            name,
            at_once: Arc::new(Semaphore::new(max)),
            max,
            max_open_files,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Runs a job on a thread that may block. A job that takes too long goes
    /// on there and keeps its place, but is waited for no longer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= MAX_WAITING {
            return Err(self.busy("too many wait already"));
        }
        let running = async {
            let permit = Arc::clone(&self.at_once).acquire_owned().await.ok();
            spawn_blocking(move || {
                let _permit = permit;
                job()
            })
            .await
        };
        match timeout(DISK_TIMEOUT, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failure::Internal(format!("a job failed: {error}"))),
            Err(_) => Err(self.busy("the disk did not answer in 30 s")),
        }
    }

    fn busy(&self, why: &str) -> Failure {
        Failure::Busy(format!(
            "{why}: {} {} at once (--max-open-files {})",
            self.max, self.name, self.max_open_files
        ))
    }
}

/// Counts a request that waits, until it does no longer.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::Relaxed);
        Self { count, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::mpsc,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn no_limit_of_open_files_is_exceeded_by_jobs() {
        for max in [MIN_OPEN_FILES, 64, 100, 256, 1024] {
            let disk = Disk::new(max);
            let jobs = (disk.lookups.max + disk.reads.max) * HANDLES_OF_FILE_JOB
                + disk.listings.max * HANDLES_OF_LISTING;
            assert!(jobs + disk.handles.max() <= max, "{max}");
            assert!(disk.handles.max() > 0, "{max}");
        }
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_given_up_and_others_go_on() {
        let disk = Disk::new(MIN_OPEN_FILES);
        let mut release = Vec::new();
        let mut hung = Vec::new();
        for _ in 0..disk.lookups.max {
            let (unblock, blocked) = mpsc::channel::<()>();
            release.push(unblock);
            hung.push(Box::pin(disk.lookups.run(move || {
                let _ = blocked.recv();
            })));
        }
        let mut cx = Context::from_waker(Waker::noop());
        for job in &mut hung {
            assert!(job.as_mut().poll(&mut cx).is_pending());
        }
        // Its own kind waits, another does not.
        let mut waits = pin!(disk.lookups.run(|| 1));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert_eq!(disk.reads.run(|| 2).await, Ok(2));
        drop(release);
        assert_eq!(waits.await, Ok(1));
    }
}
