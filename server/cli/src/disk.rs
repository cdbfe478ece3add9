//! Work on the disk: a bounded number of jobs, on threads that may block.

mod handles;
mod identity;
mod read_at;
mod root;
#[cfg(test)]
mod test_folder;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

#[cfg(test)]
pub(crate) use self::test_folder::TestFolder;
#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;
pub(crate) use self::{
    handles::{Handles, IDLE_HANDLE},
    identity::Identity,
    read_at::{read_at, read_exact_at},
    root::{Links, Opened, Root, below},
    system::{Names, max_descriptors},
};
use crate::failure::Failure;

/// Time for a job to begin, and again to end. A network disk without its
/// server never answers.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);
/// Jobs of one kind that wait to begin.
const MAX_WAITING: usize = 4096;
/// The number of waiting jobs for each running one, beyond which the disk is near its capacity.
const WAITING_NEAR_CAPACITY: usize = 8;
/// The most jobs of each kind that run at once, however many files may be open.
const MAX_LOOKUPS: usize = 32;
const MAX_READS: usize = 32;
const MAX_LISTINGS: usize = 2;
/// Handles that a job has open at once: a directory and what is in it; and the
/// directory's own list of names.
const HANDLES_OF_FILE_JOB: usize = 2;
const HANDLES_OF_LISTING: usize = 3;

/// The fewest files that have to be open at once for every kind of work.
pub(crate) const MIN_OPEN_FILES: usize = 16;

/// The queues for the disk. Each kind of work has its own, so that pages of large directories do
/// not delay files.
pub(crate) struct Disk {
    pub(crate) lookups: Lane,
    pub(crate) reads: Lane,
    pub(crate) listings: Lane,
    pub(crate) handles: Handles,
}

/// What is known of a name in a directory.
pub(crate) struct Found {
    /// In bytes; `None` for a directory.
    pub(crate) size: Option<u64>,
    /// In seconds since 1970.
    pub(crate) modified: Option<u64>,
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

    /// Returns whether many jobs wait for the handles that others have open.
    pub(crate) fn is_near_capacity(&self) -> bool {
        let lanes = [&self.lookups, &self.reads, &self.listings];
        lanes.into_iter().any(|lane| {
            let waiting = lane.waiting.load(Ordering::Relaxed);
            waiting > lane.max.saturating_mul(WAITING_NEAR_CAPACITY)
        })
    }
}

/// A queue of jobs that block.
pub(crate) struct Lane {
    name: &'static str,
    at_once: Arc<Semaphore>,
    max: usize,
    max_open_files: usize,
    waiting: Arc<AtomicUsize>,
}

impl Lane {
    fn new(name: &'static str, max: usize, max_open_files: usize) -> Self {
        Self {
            name,
            at_once: Arc::new(Semaphore::new(max)),
            max,
            max_open_files,
            waiting: Arc::default(),
        }
    }

    /// Runs a job on a thread that may block. A job that takes too long
    /// continues there and keeps its place, and the request fails.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        // Fails if others wait: they are first.
        if let Ok(permit) = Arc::clone(&self.at_once).try_acquire_owned() {
            return self.wait_for(begin(permit, job)).await;
        }
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= MAX_WAITING {
            return Err(self.busy("too many wait already"));
        }
        let at_once = Arc::clone(&self.at_once);
        // Runs as a task of its own. A stalled response is not polled, and would otherwise keep the
        // slot that it received.
        let mut begun = Cancelled(tokio::spawn(async move {
            let permit = at_once.acquire_owned().await.ok()?;
            drop(waiting);
            Some(begin(permit, job))
        }));
        match timeout(DISK_TIMEOUT, &mut begun.0).await {
            Ok(Ok(Some(running))) => self.wait_for(running).await,
            Ok(_) => Err(Failure::Internal("the program ends".into())),
            Err(_) => Err(self.slow()),
        }
    }

    async fn wait_for<T>(&self, running: JoinHandle<T>) -> Result<T, Failure> {
        match timeout(DISK_TIMEOUT, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failure::Internal(format!("a job failed: {error}"))),
            Err(_) => Err(self.slow()),
        }
    }

    fn slow(&self) -> Failure {
        let seconds = DISK_TIMEOUT.as_secs();
        self.busy(&format!("the disk did not answer in {seconds} s"))
    }

    fn busy(&self, why: &str) -> Failure {
        Failure::Busy(format!(
            "{why}: {} {} at once (--max-open-files {})",
            self.max, self.name, self.max_open_files
        ))
    }
}

/// Starts a job that keeps its place until it is done, even if no request waits
/// for it any longer.
fn begin<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    job: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    spawn_blocking(move || {
        let _permit = permit;
        job()
    })
}

/// A task that is aborted on drop, so that its job does not begin.
struct Cancelled<T>(JoinHandle<T>);

impl<T> Drop for Cancelled<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a job until it begins.
struct Waiting {
    count: Arc<AtomicUsize>,
    before: usize,
}

impl Waiting {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        Self {
            before: count.fetch_add(1, Ordering::Relaxed),
            count: Arc::clone(count),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{Mutex, mpsc},
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
    async fn a_request_that_is_not_polled_keeps_no_place() {
        let disk = Disk::new(MIN_OPEN_FILES);
        let mut cx = Context::from_waker(Waker::noop());
        let mut held: Vec<_> = (0..10 * disk.reads.max)
            .map(|_| Box::pin(disk.reads.run(|| ())))
            .collect();
        for job in &mut held {
            let _ = job.as_mut().poll(&mut cx);
        }
        // This one is the last.
        assert_eq!(disk.reads.run(|| 1).await, Ok(1));
        assert_eq!(disk.reads.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn jobs_that_wait_are_bounded_and_give_up_their_place_when_dropped() {
        let disk = Disk::new(MIN_OPEN_FILES);
        let mut cx = Context::from_waker(Waker::noop());
        let (unblock, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let mut jobs: Vec<_> = (0..disk.lookups.max + MAX_WAITING)
            .map(|_| {
                let blocked = Arc::clone(&blocked);
                Box::pin(disk.lookups.run(move || {
                    let _ = blocked.lock().unwrap().recv();
                }))
            })
            .collect();
        for job in &mut jobs {
            assert!(job.as_mut().poll(&mut cx).is_pending());
        }
        let Err(Failure::Busy(said)) = disk.lookups.run(|| ()).await else {
            panic!("there are too many")
        };
        assert!(said.contains("--max-open-files 16"), "{said}");
        assert_eq!(disk.reads.run(|| 1).await, Ok(1));
        assert!(disk.is_near_capacity());
        drop((jobs, unblock));
        while disk.lookups.waiting.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!disk.is_near_capacity());
        assert_eq!(disk.lookups.run(|| 1).await, Ok(1));
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
