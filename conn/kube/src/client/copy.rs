//! Copies between this machine and a container: tar over `exec`, as `kubectl cp` does.

mod error;
mod fetch;
mod metered;
mod pack;
mod paths;
mod unpack;

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::{HeaderMap, Uri};
use lacewing_conn::Side;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, duplex, sink},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::io::SyncIoBridge;

pub use self::error::CopyError;
use self::{
    fetch::Fetch,
    paths::{RemoteSource, RemoteTarget},
    unpack::Unpacking,
};
use super::{
    command_io::{CommandReader, CommandStdin},
    request::{CommandRequest, Pod, StreamingProtocol},
    session::CommandSession,
};
use crate::{
    command_streams::CommandStreams, error::KubeError, limits::KubeLimits, outcome::CommandOutcome,
};

/// The bytes of the remote tar's stderr that are kept. The rest is read and dropped.
const MAX_STDERR: usize = 64 << 10;

/// The bytes of an archive between the thread that reads files and the connection.
const PIPE: usize = 256 << 10;

/// The bytes of one read of an archive from the container.
const READ: usize = 64 << 10;

/// A request to copy files to or from a container. The container needs `tar`, and `test`
/// for copies to it.
///
/// A copy that is not complete is an error: after it, a part of the files may be there.
///
/// ```no_run
/// use http::Uri;
/// use lacewing_kube::client::{CopyRequest, Pod};
/// use tokio::net::TcpStream;
///
/// async fn fetch_logs() -> Result<u64, Box<dyn std::error::Error>> {
///     let server = Uri::from_static("http://127.0.0.1:8001");
///     let pod = Pod { namespace: "default", name: "mypod", container: None };
///     let request = CopyRequest::new(server, pod);
///     let connect = || TcpStream::connect("127.0.0.1:8001");
///     let copied = request.download(connect, "/var/log", "logs".as_ref()).await?;
///     Ok(copied.bytes)
/// }
/// # let _ = fetch_logs;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyRequest {
    /// The URI of the API server; it may have a path.
    pub server: Uri,
    /// Further header fields, such as `Authorization`.
    pub headers: HeaderMap,
    /// The transport. Default SPDY.
    pub transport: StreamingProtocol,
    /// The bounds of each session.
    pub limits: KubeLimits,
    /// Files, folders and links of one copy. Answers a container that sends empty files
    /// without end. Default 1,000,000.
    pub max_entries: u64,
    /// The bytes of the content of all files of one copy. Default `None`: the disk is the
    /// bound.
    pub max_bytes: Option<u64>,
    /// The number of times that a download connects again after its connection was lost, or the
    /// server was overloaded. It continues with the byte that follows. The first retry is
    /// immediate; before the next ones are pauses of 1, 2, 4 … 30 s. The container needs `sh`,
    /// `head`, `tail` and `cksum` for it. If the files have changed, the copy fails. Default 0.
    pub retries: u32,
    namespace: String,
    name: String,
    container: Option<String>,
}

/// What a copy has transferred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopySummary {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of the content of files.
    pub bytes: u64,
    /// Entries that were left out: special files, and links that lead out of the copy.
    pub skipped: u64,
    /// The names of the first 100 of them, each with the reason.
    pub skipped_names: Vec<String>,
}

impl CopySummary {
    fn skip(&mut self, name: &Path, reason: &str) {
        const MAX_NAMES: usize = 100;
        self.skipped = self.skipped.saturating_add(1);
        if self.skipped_names.len() < MAX_NAMES {
            self.skipped_names
                .push(format!("{}: {reason}", name.display()));
        }
    }

    fn complete(self) -> Result<Self, CopyError> {
        match self.skipped {
            0 => Ok(self),
            _ => Err(CopyError::Incomplete(Box::new(self))),
        }
    }
}

/// The bounds of one copy.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    max_entries: u64,
    max_bytes: Option<u64>,
}

impl Bounds {
    /// Counts an entry with its content.
    fn charge(&self, summary: &mut CopySummary, bytes: u64) -> Result<(), CopyError> {
        summary.entries = summary.entries.saturating_add(1);
        summary.bytes = summary.bytes.saturating_add(bytes);
        if summary.entries > self.max_entries {
            let (name, limit) = ("max_entries", self.max_entries);
            return Err(CopyError::TooLarge { name, limit });
        }
        match self.max_bytes {
            Some(limit) if summary.bytes > limit => {
                let name = "max_bytes";
                Err(CopyError::TooLarge { name, limit })
            }
            _ => Ok(()),
        }
    }
}

impl CopyRequest {
    /// Creates a request with the defaults.
    pub fn new(server: Uri, pod: Pod<'_>) -> Self {
        Self {
            server,
            headers: HeaderMap::new(),
            transport: StreamingProtocol::default(),
            limits: KubeLimits::new(Side::Client),
            max_entries: 1_000_000,
            max_bytes: None,
            retries: 0,
            namespace: pod.namespace.to_owned(),
            name: pod.name.to_owned(),
            container: pod.container.map(str::to_owned),
        }
    }

    /// Returns the request after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Copies a local file or folder into the container. `connect` opens a transport to the
    /// server; it is called for each of two commands.
    ///
    /// If `remote` is a folder, the copy becomes an entry of it with the local name;
    /// otherwise the copy gets the name `remote`. Modes and symbolic links are kept, and the
    /// remote tar decides on the owner. A link that `local` itself names is followed.
    ///
    /// # Errors
    ///
    /// See [`CopyError`].
    pub async fn upload<C, F, IO>(
        &self,
        mut connect: C,
        local: &Path,
        remote: &str,
    ) -> Result<CopySummary, CopyError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let local = local.to_owned();
        let (local, name) = blocking(spawn_blocking(move || pack::name_of(&local))).await?;
        let is_folder = self.is_folder(&mut connect, remote).await?;
        let target = RemoteTarget::new(remote, &name, is_folder)?;
        let command = ["tar", "-xmf", "-", "-C", target.folder.as_str()];
        let streams = CommandStreams::from_query("stdin=true&stdout=true&stderr=true");
        let request = self.command(command, streams)?;
        let session = request.connect(&mut connect).await?;
        self.send(session, local, target.name).await?.complete()
    }

    /// Copies a file or folder of the container to `local`. `connect` opens a
    /// transport to the server; it is called once, and once more for each [retry](Self::retries).
    ///
    /// The content of a folder goes into `local`, which is made if it does not exist. A file
    /// goes into `local` if that is a folder, and otherwise gets that name. Existing
    /// files are replaced. Modes are kept, without set-user-id and the like; owners are not.
    ///
    /// Names that lead out of `local` end the copy. Symbolic links that do are left out, and
    /// nothing is written through a link.
    ///
    /// # Errors
    ///
    /// See [`CopyError`].
    pub async fn download<C, F, IO>(
        &self,
        connect: C,
        remote: &str,
        local: &Path,
    ) -> Result<CopySummary, CopyError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let source = RemoteSource::new(remote)?;
        let unpacking = Unpacking::new(source.clone(), local.to_owned(), self.bounds());
        let (archive, pipe) = duplex(PIPE);
        let unpacking = blocking(spawn_blocking(move || {
            unpacking.run(SyncIoBridge::new(archive))
        }));
        let fetching = Fetch::new(self, &source).run(connect, pipe);
        self.receive(fetching, unpacking).await?.complete()
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            max_entries: self.max_entries,
            max_bytes: self.max_bytes,
        }
    }

    fn command<'a>(
        &self,
        command: impl IntoIterator<Item = &'a str>,
        streams: CommandStreams,
    ) -> Result<CommandRequest, CopyError> {
        let pod = Pod {
            namespace: &self.namespace,
            name: &self.name,
            container: self.container.as_deref(),
        };
        let request = CommandRequest::exec(&self.server, pod, command, streams)
            .map_err(CopyError::Request)?;
        Ok(request.with(|request| {
            request.headers = self.headers.clone();
            request.transport = self.transport;
            request.limits = self.limits.clone();
        }))
    }

    /// Asks the container. A container without `test` has no folder: tar says more.
    async fn is_folder<C, F, IO>(&self, connect: &mut C, path: &str) -> Result<bool, CopyError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = CommandStreams::from_query("stdout=true&stderr=true");
        let request = self.command(["test", "-d", path], streams)?;
        let mut session = request.connect(connect).await?;
        let (outcome, _) = end(&mut session).await;
        Ok(outcome? == CommandOutcome::Success)
    }

    async fn send(
        &self,
        mut session: CommandSession,
        local: PathBuf,
        name: PathBuf,
    ) -> Result<CopySummary, CopyError> {
        let mut stdin = session.stdin.take().ok_or(KubeError::Closed)?;
        let (archive, mut pipe) = duplex(PIPE);
        let bounds = self.bounds();
        let packing =
            spawn_blocking(move || pack::pack(SyncIoBridge::new(archive), &local, &name, bounds));
        let unsent = AtomicUsize::new(0);
        let mut ending = std::pin::pin!(end(&mut session));
        let first = tokio::select! {
            biased;
            ended = &mut ending => Err(ended),
            fed = feed(&mut pipe, &mut stdin, &unsent) => Ok(fed.is_ok()),
        };
        // tar may end at the marker at the end of the archive, before stdin does. Then it has
        // read all if nothing is left to send.
        let whole = match &first {
            Ok(fed) => *fed,
            Err(_) => {
                unsent.into_inner() == 0 && is_over(&mut pipe, self.limits.finish_timeout).await
            }
        };
        // The thread must not wait for room in it.
        drop(pipe);
        let packed = blocking(packing).await;
        let sent = match whole {
            true => Some(packed?),
            false => None,
        };
        let (outcome, stderr) = match first {
            Err(ended) => ended,
            Ok(_) if sent.is_some() => {
                // Only a whole archive has an end: tar reports the end of a part. If tar has ended
                // already, stdin takes none.
                tokio::join!(stdin.shutdown(), ending).1
            }
            Ok(_) => ending.await,
        };
        match (outcome?, sent) {
            (CommandOutcome::Success, Some(summary)) => Ok(summary),
            (CommandOutcome::Success, None) => Err(CopyError::Unread { stderr }),
            (outcome, _) => Err(CopyError::Remote { outcome, stderr }),
        }
    }

    /// Waits for the end of both: the command in the container, and the files of this machine.
    async fn receive(
        &self,
        fetching: impl Future<Output = Result<(CommandOutcome, String), CopyError>>,
        unpacking: impl Future<Output = Result<CopySummary, CopyError>>,
    ) -> Result<CopySummary, CopyError> {
        let (mut unpacking, mut fetching) = (std::pin::pin!(unpacking), std::pin::pin!(fetching));
        let (unpacked, ended) = tokio::select! {
            unpacked = &mut unpacking => match unpacked {
                // tar has the reason; it ends soon, since nobody reads it.
                Err(CopyError::Archive(error)) => {
                    let ended = timeout(self.limits.finish_timeout, fetching).await;
                    (Err(CopyError::Archive(error)), ended.ok())
                }
                Err(error) => return Err(error),
                Ok(summary) => (Ok(summary), Some(fetching.await)),
            },
            ended = &mut fetching => (unpacking.await, Some(ended)),
        };
        match (unpacked, ended) {
            (unpacked, Some(ended)) => match (ended?, unpacked) {
                ((CommandOutcome::Success, _), unpacked) => unpacked,
                // A local failure closes the pipe of tar, which then fails too.
                (_, Err(error)) if !matches!(error, CopyError::Archive(_)) => Err(error),
                ((outcome, stderr), _) => Err(CopyError::Remote { outcome, stderr }),
            },
            (unpacked, None) => unpacked,
        }
    }
}

/// Waits for the end of a command. Returns its stderr, and drops its stdout.
async fn end(session: &mut CommandSession) -> (Result<CommandOutcome, KubeError>, String) {
    let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
    let discarding = async {
        if let Some(mut stdout) = stdout {
            // The outcome reports a lost connection.
            let _ = copy(&mut stdout, &mut sink()).await;
        }
    };
    let ((), stderr, outcome) = tokio::join!(discarding, text(stderr), session.outcome());
    (outcome, stderr)
}

/// Writes the archive to stdin. `unsent`: bytes of it that stdin has not taken.
async fn feed(
    pipe: &mut DuplexStream,
    stdin: &mut CommandStdin,
    unsent: &AtomicUsize,
) -> io::Result<()> {
    let mut buffer = vec![0; PIPE];
    loop {
        let len = pipe.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        unsent.store(len, Ordering::Relaxed);
        let piece = buffer.get(..len).unwrap_or_default();
        stdin.write_all(piece).await?;
        unsent.store(0, Ordering::Relaxed);
    }
}

/// Returns whether the archive has no more bytes.
async fn is_over(pipe: &mut DuplexStream, limit: Duration) -> bool {
    matches!(timeout(limit, pipe.read(&mut [0])).await, Ok(Ok(0)))
}

/// Reads stderr to its end, and keeps its start.
async fn text(stderr: Option<CommandReader>) -> String {
    let Some(mut stderr) = stderr else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 4 << 10];
    while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
        let room = MAX_STDERR.saturating_sub(kept.len()).min(len);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
    String::from_utf8_lossy(&kept).trim_end().to_owned()
}

async fn blocking<T>(task: JoinHandle<Result<T, CopyError>>) -> Result<T, CopyError> {
    match task.await {
        Ok(done) => done,
        // The runtime shuts down.
        Err(error) => Err(CopyError::Archive(io::Error::other(error))),
    }
}
