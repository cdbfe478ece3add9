//! Writes the log to the standard error output. Serving never waits for its
//! reader.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that wait. Further lines are left out. As many bytes again may
/// be in the middle of a write.
const MAX_WAITING: usize = 512 << 10;
/// The time in which the lines after a write are collected for the next. To wake a thread costs
/// more than to serve a small file.
const COLLECT: Duration = Duration::from_millis(10);
/// The number of bytes that are written without waiting for more.
const ENOUGH: usize = MAX_WAITING / 4;

/// Lines that wait for a thread of their own to write them.
#[derive(Clone)]
pub(crate) struct Output(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    due: Condvar,
    /// The writer has written all.
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    left_out: u64,
    /// Since the start.
    left_out_in_all: u64,
    writer: Writer,
    /// Calls of `flush` that wait.
    flushes: usize,
}

/// The state of the writer, which decides whether a line wakes it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    /// Writes a batch, or is about to look for one.
    #[default]
    Busy,
    /// Collects a batch until [`ENOUGH`] is there.
    Collecting,
    /// Waits for a first line.
    Idle,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.left_out == 0
    }

    fn is_enough(&self) -> bool {
        self.lines.len() >= ENOUGH || self.flushes > 0
    }
}

impl Output {
    /// Starts the thread that writes to `sink`.
    pub(crate) fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            due: Condvar::new(),
            written: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.write_to(sink))?;
        Ok(Self(shared))
    }

    /// Takes one line, or leaves it out.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.push(line);
    }

    /// The lines that were left out since the start.
    pub(crate) fn left_out_lines(&self) -> u64 {
        self.0.lock().left_out_in_all
    }

    /// Waits until all is written, but no longer than `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut queue = self.0.lock();
        queue.flushes += 1;
        self.0.due.notify_one();
        while queue.writer == Writer::Busy || !queue.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.written.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.flushes -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.lines.len().saturating_add(line.len()) > MAX_WAITING {
            queue.left_out = queue.left_out.saturating_add(1);
            queue.left_out_in_all = queue.left_out_in_all.saturating_add(1);
        } else {
            queue.lines.extend_from_slice(line);
        }
        let wake = match queue.writer {
            Writer::Idle => true,
            Writer::Collecting => queue.is_enough(),
            Writer::Busy => false,
        };
        if wake {
            queue.writer = Writer::Busy;
        }
        drop(queue);
        if wake {
            self.due.notify_one();
        }
    }

    /// Goes on for as long as the program.
    fn write_to(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut queue = self.wait_for_lines();
            mem::swap(&mut batch, &mut queue.lines);
            let left_out = mem::take(&mut queue.left_out);
            drop(queue);
            // An output that is closed is no reason to stop serving.
            let _ = sink.write_all(&batch);
            if left_out > 0 {
                let _ = writeln!(
                    sink,
                    "WARN {left_out} lines of the log are left out here: it was not read in \
                     time, and no more than {MAX_WAITING} bytes wait"
                );
            }
            let _ = sink.flush();
            batch.clear();
            batch.shrink_to(MAX_WAITING / 8);
            self.collect();
        }
    }

    /// Waits until there is something to write.
    fn wait_for_lines(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.lock();
        while queue.is_empty() {
            queue.writer = Writer::Idle;
            self.written.notify_all();
            let waited = self.due.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        queue.writer = Writer::Busy;
        queue
    }

    /// Waits for more lines, for a while.
    fn collect(&self) {
        let deadline = Instant::now() + COLLECT;
        let mut queue = self.lock();
        while !queue.is_enough() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue.writer = Writer::Collecting;
            let waited = self.due.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.writer = Writer::Busy;
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one line by each call of `write`.
pub(crate) struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Blocks until the test releases it.
    struct Stuck {
        may: Receiver<()>,
        took: Sender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.may.recv();
            let _ = self.took.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_no_time() {
        let (release, may) = channel();
        let (took, taken) = channel();
        let output = Output::start(Stuck { may, took }).unwrap();
        let line = [b'x'; 1023];
        let lines = 4 * MAX_WAITING / 1024;
        for _ in 0..lines {
            let mut line = [&line[..], b"\n"].concat();
            output.make_writer().write_all(&line).unwrap();
            line.clear();
        }
        let waiting = output.0.lock().lines.len();
        assert!(waiting <= MAX_WAITING, "{waiting}");
        output.flush(Duration::from_millis(1));
        drop(release);
        output.flush(Duration::from_secs(600));
        let all: Vec<u8> = taken.try_iter().flatten().collect();
        let all = String::from_utf8(all).unwrap();
        let written = all.lines().filter(|line| line.starts_with('x')).count();
        let said = format!("WARN {} lines of the log are left out", lines - written);
        assert_eq!(output.left_out_lines(), (lines - written) as u64);
        assert!(
            written < lines && all.contains(&said),
            "{written} of {lines}"
        );
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let (took, taken) = channel();
        let (release, may) = channel();
        drop(release);
        let output = Output::start(Stuck { may, took }).unwrap();
        for number in 0..100 {
            writeln!(output.make_writer(), "{number}").unwrap();
        }
        output.flush(Duration::from_secs(600));
        let all: Vec<u8> = taken.try_iter().flatten().collect();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), expected);
    }
}
