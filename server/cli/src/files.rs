//! Files: small ones from memory, large ones piece by piece from the disk.

mod cache;
mod charset;
mod conditions;
mod facts;
mod page_cache;
mod pieces;
mod ranges;
mod reader;

use std::{
    fs::File,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;

use self::{cache::Cache, facts::Facts, pieces::Pieces};
pub(crate) use self::{
    cache::Entry,
    charset::{content_type_of, is_compressible},
    conditions::Verdict,
    facts::Varies,
    ranges::{Ranges, Span},
    reader::{Reader, Source},
};
use crate::{
    disk::{self, Disk, Identity, Opened, Root, below},
    failure::Failure,
};

/// Files up to this length are read at once and stay in memory.
const SMALL_FILE: u64 = 64 << 10;
/// The length of a piece when the responses hold too many.
const LEAST_CHUNK: usize = 4 << 10;
/// A file that was checked within this time is not checked again, so requests that arrive together
/// share a check. The time is too short for a client to learn of a change and then ask for it.
const SAME_MOMENT: Duration = Duration::from_micros(100);
/// A disk that takes so long for the metadata of one file is not asked on the
/// connection's thread for a while.
const SLOW_LOOK: Duration = Duration::from_millis(20);
const SLOW_FOR: Duration = Duration::from_secs(10);
/// Attempts to read a small file that changes meanwhile.
const ATTEMPTS: usize = 3;

/// The type of the entry at a path.
pub(crate) enum Found {
    /// A file, at a path below the root.
    File(Arc<Entry>, String),
    /// A directory without an index file, or asked for without a slash.
    Directory(Identity),
}

/// The files below the root.
pub(crate) struct Files {
    root: Arc<Root>,
    disk: Arc<Disk>,
    /// The names of files that are served in place of their directory.
    index: Vec<String>,
    varies: Varies,
    cache: Cache,
    pieces: Arc<Pieces>,
    start: Instant,
    /// Milliseconds after the start until which the disk counts as slow.
    slow_until: AtomicU64,
}

impl Files {
    /// `index` has the names of files that are served in place of their directory.
    pub(crate) fn new(
        root: Arc<Root>,
        disk: Arc<Disk>,
        index: Vec<String>,
        varies: Varies,
    ) -> Self {
        Self {
            root,
            disk,
            index,
            varies,
            cache: Cache::default(),
            pieces: Pieces::new(),
            start: Instant::now(),
            slow_until: AtomicU64::new(0),
        }
    }

    /// A file that was served before and has not changed since. `None` also while
    /// the disk is too slow to be asked on this thread.
    pub(crate) fn remembered(&self, path: &str) -> Option<Arc<Entry>> {
        let entry = self.cache.get(path)?;
        let begin = Instant::now().saturating_duration_since(self.start);
        if entry.was_fresh_within(SAME_MOMENT, begin) {
            return Some(entry);
        }
        if begin.as_millis() < self.slow_until.load(Ordering::Relaxed).into() {
            return None;
        }
        let fresh = entry.is_fresh();
        let end = self.start.elapsed();
        if end.saturating_sub(begin) >= SLOW_LOOK {
            self.slow_until
                .store(millis(end.saturating_add(SLOW_FOR)), Ordering::Relaxed);
        }
        if fresh {
            entry.note_fresh(begin);
        } else {
            self.cache.remove(path);
        }
        fresh.then_some(entry)
    }

    /// The file in place of a directory, if it is there. One of the later names may be remembered
    /// only while the disk has none of the earlier ones.
    pub(crate) fn first_index(&self, path: &str) -> String {
        below(path, self.index.first().map_or("", String::as_str))
    }

    /// Looks at the disk. With `directory`, the path ends in a slash.
    pub(crate) async fn find(
        self: &Arc<Self>,
        path: String,
        directory: bool,
    ) -> Result<Found, Failure> {
        let files = Arc::clone(self);
        let found = self.disk.lookups.run(move || {
            if directory {
                files.look_into(path)
            } else {
                files.look_at(path)
            }
        });
        found.await?
    }

    fn look_at(&self, path: String) -> Result<Found, Failure> {
        if let Some(entry) = self.cache.get(&path).filter(|entry| entry.is_fresh()) {
            return Ok(Found::File(entry, path));
        }
        match self.root.open(&path)? {
            Opened::File(file, identity) => {
                let entry = self.load(&path, file, identity)?;
                Ok(Found::File(entry, path))
            }
            Opened::Directory(_, identity) => Ok(Found::Directory(identity)),
        }
    }

    fn look_into(&self, path: String) -> Result<Found, Failure> {
        let Opened::Directory(directory, identity) = self.root.open(&path)? else {
            return Err(Failure::NotFound);
        };
        drop(directory);
        for name in &self.index {
            match self.look_at(below(&path, name)) {
                Err(Failure::NotFound) | Ok(Found::Directory(_)) => {}
                other => return other,
            }
        }
        Ok(Found::Directory(identity))
    }

    fn load(&self, path: &str, mut file: File, found: Identity) -> Result<Arc<Entry>, Failure> {
        let whole = self.root.whole(path);
        let mut identity = found;
        for _ in 0..ATTEMPTS {
            let now = SystemTime::now();
            let body = if identity.size() <= SMALL_FILE {
                match self.read_whole(&mut file, &mut identity)? {
                    Whole::Read(bytes) => Some(bytes),
                    Whole::NoRoom => None,
                    Whole::Changed => continue,
                }
            } else {
                None
            };
            let facts = match &body {
                Some(body) => Facts::new(&whole, identity, body, self.varies),
                None => Facts::new(&whole, identity, &sample(&file)?, self.varies),
            };
            if body.is_none() {
                // The response reads it next.
                self.disk.handles.keep(identity, Arc::new(file));
            }
            let entry = Arc::new(Entry::new(whole, facts, body));
            if identity.is_settled(now) {
                self.cache.insert(path, Arc::clone(&entry));
            }
            return Ok(entry);
        }
        let facts = Facts::new(&whole, identity, &sample(&file)?, self.varies);
        self.disk.handles.keep(identity, Arc::new(file));
        Ok(Arc::new(Entry::new(whole, facts, None)))
    }

    fn read_whole(&self, file: &mut File, identity: &mut Identity) -> Result<Whole, Failure> {
        let size = usize::try_from(identity.size()).unwrap_or(usize::MAX);
        let Some(charge) = self.cache.charge(size) else {
            return Ok(Whole::NoRoom);
        };
        let mut content = Vec::with_capacity(size.saturating_add(1));
        // One more than there should be, so that growth shows.
        let most = identity.size().saturating_add(1);
        io::Seek::rewind(file)?;
        file.take(most).read_to_end(&mut content)?;
        let after = Identity::of_file(file)?;
        if after == *identity && content.len() == size {
            return Ok(Whole::Read(charge.hold(content)));
        }
        *identity = after;
        Ok(Whole::Changed)
    }

    /// Frees the empty buffers of pieces.
    pub(crate) fn free_pieces(&self) {
        self.pieces.free();
    }

    /// Reads a piece of a large file without waiting, `len` bytes or fewer. `None` if the file is
    /// closed, the system does not have the piece in memory, or there is no room for it.
    fn read_at_once(&self, source: &Source, start: u64, len: usize) -> Option<Bytes> {
        let file = self.disk.handles.get(&source.identity)?;
        let mut piece = self.pieces.take(len)?;
        let read = page_cache::read(&file, piece.room(), start)?;
        Some(piece.into_bytes(read))
    }

    /// Reads a piece of a large file, `len` bytes or fewer.
    async fn read(
        self: &Arc<Self>,
        source: Arc<Source>,
        start: u64,
        len: usize,
    ) -> io::Result<Bytes> {
        let files = Arc::clone(self);
        let read = self.disk.reads.run(move || {
            let file = files.reopen(&source)?;
            let read = |room: &mut [u8]| disk::read_exact_at(&file, room, start).map_err(truncated);
            if let Some(mut piece) = files.pieces.take(len) {
                read(piece.room())?;
                return Ok::<_, Failure>(piece.into_bytes(len));
            }
            let mut piece = vec![0; len.min(LEAST_CHUNK)];
            read(&mut piece)?;
            Ok(piece.into())
        });
        read.await
            .and_then(|read| read)
            .map_err(|failure| io::Error::other(failure.to_string()))
    }

    fn reopen(&self, source: &Source) -> Result<Arc<File>, Failure> {
        if let Some(file) = self.disk.handles.get(&source.identity) {
            return Ok(file);
        }
        match self.root.open(&source.path)? {
            Opened::File(file, identity) if identity == source.identity => {
                let file = Arc::new(file);
                self.disk.handles.keep(identity, Arc::clone(&file));
                Ok(file)
            }
            _ => Err(Failure::Internal(
                "the file changed while it was sent".into(),
            )),
        }
    }
}

/// The response has promised more bytes than the file has now.
fn truncated(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Failure::Internal("the file became shorter while it was sent".into())
        }
        _ => error.into(),
    }
}

/// The start of a file.
fn sample(file: &File) -> Result<Vec<u8>, Failure> {
    let mut sample = vec![0; charset::SAMPLE];
    let len = disk::read_at(file, &mut sample, 0)?;
    sample.truncate(len);
    Ok(sample)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

enum Whole {
    Read(Bytes),
    NoRoom,
    Changed,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::{Links, MIN_OPEN_FILES, TestFolder};

    struct Tree {
        folder: TestFolder,
        files: Arc<Files>,
    }

    impl Tree {
        fn new(name: &str) -> Self {
            let folder = TestFolder::new(name);
            let root = Arc::new(Root::new(folder.path(), Links::Within));
            let disk = Arc::new(Disk::new(MIN_OPEN_FILES));
            let files = Arc::new(Files::new(
                root,
                disk,
                vec!["index.html".into()],
                Varies::Never,
            ));
            Self { folder, files }
        }

        async fn find(&self, path: &str) -> Arc<Entry> {
            match self.files.find(path.to_owned(), false).await {
                Ok(Found::File(entry, _)) => entry,
                other => panic!("no file: {}", other.is_ok()),
            }
        }
    }

    // Windows keeps the name of a removed file until its last handle is closed.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_closed_file_is_opened_again_unless_it_has_changed() {
        let tree = Tree::new("reopen");
        let large = tree.folder.join("large");
        fs::write(&large, vec![b'x'; 100_000]).unwrap();
        let entry = tree.find("large").await;
        assert!(entry.body.is_none());
        let source = Arc::new(Source {
            path: "large".into(),
            identity: entry.facts.identity,
        });
        let read = || tree.files.read(Arc::clone(&source), 99_990, 10);
        assert_eq!(read().await.unwrap(), "xxxxxxxxxx");
        tree.files.disk.handles.close_idle(Duration::ZERO);
        assert_eq!(read().await.unwrap(), "xxxxxxxxxx");
        // An open file stays the same when its name gets another file.
        fs::remove_file(&large).unwrap();
        fs::write(&large, vec![b'y'; 100_001]).unwrap();
        assert_eq!(read().await.unwrap(), "xxxxxxxxxx");
        tree.files.disk.handles.close_idle(Duration::ZERO);
        let error = read().await.unwrap_err().to_string();
        assert!(error.contains("the file changed"), "{error}");
    }

    /// An empty piece would end the response early, or never.
    #[tokio::test]
    async fn what_a_file_does_not_have_is_not_read_at_once() {
        let tree = Tree::new("at-once");
        let large = tree.folder.join("large");
        fs::write(&large, vec![b'x'; 100_000]).unwrap();
        let source = Source {
            path: "large".into(),
            identity: tree.find("large").await.facts.identity,
        };
        let read = |start| tree.files.read_at_once(&source, start, 10);
        // Some file systems cannot tell what they have in memory.
        for (start, least) in [(0, 10), (99_995, 5)] {
            if let Some(piece) = read(start) {
                assert_eq!(piece, vec![b'x'; least]);
            }
        }
        assert_eq!(read(100_000), None);
        fs::File::options()
            .write(true)
            .open(&large)
            .and_then(|file| file.set_len(50_000))
            .unwrap();
        assert_eq!(read(60_000), None);
        tree.files.disk.handles.close_idle(Duration::ZERO);
        assert_eq!(read(0), None, "the file is closed");
    }

    #[tokio::test]
    async fn without_memory_for_pieces_they_are_small() {
        let tree = Tree::new("pieces");
        fs::write(tree.folder.join("large"), vec![b'x'; 100_000]).unwrap();
        let source = Arc::new(Source {
            path: "large".into(),
            identity: tree.find("large").await.facts.identity,
        });
        let read = || tree.files.read(Arc::clone(&source), 0, 50_000);
        let held = read().await.unwrap();
        assert_eq!(held.len(), 50_000);
        let rest = tree.files.pieces.budget.charge(pieces::MAX_BYTES - 50_000);
        assert_eq!(read().await.unwrap().len(), LEAST_CHUNK);
        drop((held, rest));
        assert_eq!(read().await.unwrap().len(), 50_000);
    }

    #[tokio::test]
    async fn a_slow_disk_is_not_asked_on_the_connections_thread() {
        let tree = Tree::new("slow");
        fs::write(tree.folder.join("small"), "small").unwrap();
        // A file is remembered once its next change would show.
        while tree.files.remembered("small").is_none() {
            assert!(tree.find("small").await.body.is_some());
        }
        let later = millis(tree.files.start.elapsed() + Duration::from_secs(3600));
        tree.files
            .cache
            .get("small")
            .unwrap()
            .note_fresh(Duration::ZERO);
        tree.files.slow_until.store(later, Ordering::Relaxed);
        assert!(tree.files.remembered("small").is_none());
        // The look-up still has the file.
        let cached = tree.files.cache.get("small").unwrap();
        assert!(Arc::ptr_eq(&cached, &tree.find("small").await));
    }
}
