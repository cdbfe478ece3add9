//! A server in memory: hyper, and our server's side behind it.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use lacewing_kube::{
    CommandOutcome, CommandStreams,
    server::{CommandOffer, ExecSession, ForwardOffer, Rejection},
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy, duplex,
};

pub(crate) type Answer = Response<String>;

/// A server that answers each request with `answer`, over a new transport for each dial.
#[derive(Clone)]
pub(crate) struct Server {
    answer: Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>,
    /// The bytes that the server may send on each transport.
    budget: usize,
    /// Bytes sent on all transports.
    pub(crate) sent: Arc<AtomicUsize>,
    pub(crate) dials: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn new(
        answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Arc::new(answer),
            budget: usize::MAX,
            sent: Arc::default(),
            dials: Arc::default(),
        }
    }

    /// The test's commands, and its ports.
    pub(crate) fn commands() -> Self {
        Self::new(|request| answer(request, |_| {}))
    }

    pub(crate) fn with_budget(mut self, budget: usize) -> Self {
        self.budget = budget;
        self
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    pub(crate) fn dial(&self) -> std::future::Ready<io::Result<DuplexStream>> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        let (here, there) = duplex(64 << 10);
        let io = Cut {
            io: there,
            left: self.budget,
            sent: Arc::clone(&self.sent),
        };
        let answer = Arc::clone(&self.answer);
        let service =
            service_fn(move |request| std::future::ready(Ok::<_, Infallible>(answer(request))));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
        tokio::spawn(async move {
            // The client may be gone.
            let _ = connection.with_upgrades().await;
        });
        std::future::ready(Ok(here))
    }
}

/// Answers as an API server does.
pub(crate) fn answer(mut request: Request<Incoming>, change: impl Fn(&mut CommandOffer)) -> Answer {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if request.uri().path() == "/portforward" {
        return match ForwardOffer::new().accept(&mut request) {
            Ok((response, pending)) => {
                tokio::spawn(async move {
                    crate::forward::serve(pending.session().await.unwrap()).await
                });
                response.map(|()| String::new())
            }
            Err(rejection) => Rejection::into_response(rejection),
        };
    }
    let offer = CommandOffer::new(CommandStreams::from_query(&query)).with(change);
    match offer.accept(&mut request) {
        Ok((response, pending)) => {
            tokio::spawn(async move {
                // The client may not open its streams.
                if let Ok(session) = pending.session().await {
                    let command = query
                        .split('&')
                        .find_map(|pair| pair.strip_prefix("command="));
                    run(session, command.unwrap_or_default()).await;
                }
            });
            response.map(|()| String::new())
        }
        Err(rejection) => rejection.into_response(),
    }
}

/// Runs one of the test's commands.
pub(crate) async fn run(mut session: ExecSession, command: &str) {
    let cancelled = session.cancellation();
    let running = async {
        match command.split_once(':').unwrap_or((command, "")) {
            // Both outputs, and an exit code.
            ("exit", code) => {
                if let Some(stdout) = &mut session.stdout {
                    stdout.write_all(b"to stdout").await?;
                }
                if let Some(stderr) = &mut session.stderr {
                    stderr.write_all(b"to stderr").await?;
                }
                Ok(CommandOutcome::from_exit_code(code.parse().unwrap()))
            }
            ("cat", _) => {
                let (stdin, stdout) = (session.stdin.as_mut(), session.stdout.as_mut());
                copy(stdin.unwrap(), stdout.unwrap()).await?;
                Ok(CommandOutcome::Success)
            }
            // The same by bytes that are owned.
            ("send", _) => {
                let (stdin, stdout) = (session.stdin.as_mut(), session.stdout.as_mut());
                let (stdin, stdout) = (stdin.unwrap(), stdout.unwrap());
                while let Some(chunk) = stdin.read_chunk().await? {
                    stdout.send(chunk).await?;
                }
                Ok(CommandOutcome::Success)
            }
            // Answers only after the end of stdin.
            ("count", _) => {
                let mut input = Vec::new();
                session
                    .stdin
                    .as_mut()
                    .unwrap()
                    .read_to_end(&mut input)
                    .await?;
                let text = input.len().to_string();
                session
                    .stdout
                    .as_mut()
                    .unwrap()
                    .write_all(text.as_bytes())
                    .await?;
                Ok(CommandOutcome::Success)
            }
            ("sizes", number) => {
                let (sizes, stdout) = (session.sizes.as_mut(), session.stdout.as_mut());
                let (sizes, stdout) = (sizes.unwrap(), stdout.unwrap());
                for _ in 0..number.parse().unwrap() {
                    let size = sizes.next().await.unwrap();
                    let text = format!("{}x{} ", size.width, size.height);
                    stdout.write_all(text.as_bytes()).await?;
                    stdout.flush().await?;
                }
                // The client has no stream that ends under it.
                let mut rest = Vec::new();
                session
                    .stdin
                    .as_mut()
                    .unwrap()
                    .read_to_end(&mut rest)
                    .await?;
                Ok(CommandOutcome::Success)
            }
            // Output without end.
            ("yes", _) => loop {
                session
                    .stdout
                    .as_mut()
                    .unwrap()
                    .write_all(&[b'y'; 4096])
                    .await?;
            },
            // Megabytes of output, in blocks that differ.
            ("fill", megabytes) => {
                let (stdout, stderr) = (session.stdout.as_mut(), session.stderr.as_mut());
                let (stdout, stderr) = (stdout.unwrap(), stderr.unwrap());
                stderr.write_all(b"to stderr").await?;
                for block in 0..megabytes.parse::<usize>().unwrap() * 1_000 {
                    stdout.write_all(&[(block % 251) as u8; 1_000]).await?;
                }
                Ok(CommandOutcome::Success)
            }
            // Ends by itself, and takes no input.
            ("late", code) => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(CommandOutcome::from_exit_code(code.parse().unwrap()))
            }
            ("sleep", _) => {
                cancelled.cancelled().await;
                Ok(CommandOutcome::Exited(130))
            }
            (other, _) => Ok(CommandOutcome::Failed(format!("no command {other:?}"))),
        }
    };
    let outcome: io::Result<CommandOutcome> = running.await;
    let outcome = outcome.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
    // The client may be gone.
    let _ = session.finish(outcome).await;
}

/// A transport whose other end sees the end after a number of bytes.
pub(crate) struct Cut {
    pub(crate) io: DuplexStream,
    pub(crate) left: usize,
    pub(crate) sent: Arc<AtomicUsize>,
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Ready(_) => Poll::Ready(Ok(data.len())),
                Poll::Pending => Poll::Pending,
            };
        }
        let len = data.len().min(self.left);
        let Poll::Ready(written) = Pin::new(&mut self.io).poll_write(cx, &data[..len])? else {
            return Poll::Pending;
        };
        self.left -= written;
        self.sent.fetch_add(written, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Pin::new(&mut self.io).poll_shutdown(cx);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
