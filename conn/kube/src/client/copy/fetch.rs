//! The archive of a download. After the loss of a connection, a new one continues with the byte that
//! follows.

use std::{future::Future, io, time::Duration};

use crc::{CRC_32_CKSUM, Crc, Digest, Table};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    time::sleep,
};

use super::{
    super::{command_io::CommandReader, error::ConnectError, session::CommandSession},
    CopyRequest, READ,
    error::CopyError,
    paths::RemoteSource,
    text,
};
use crate::{command_streams::CommandStreams, error::KubeError, outcome::CommandOutcome};

/// Continues an archive: `$1` and `$2` name the files, `$3` and `$4` are the length and the checksum
/// of what was received. The archive is made twice, and only its rest is sent: if the files had
/// changed, the rest would belong to another archive. The exit code is tar's.
const CONTINUE: &str = r#"
sum=$(tar cf - -C "$1" -- "$2" 2>/dev/null | head -c "$3" | cksum)
if [ "$sum" != "$4 $3" ]; then
  echo "$1/$2 has changed since the connection was lost: copy it again" >&2
  exit 75
fi
exec 3>&1
code=$( { { tar cf - -C "$1" -- "$2"; echo $? >&4; } | tail -c "+$(($3 + 1))" >&3; } 4>&1 )
exit "$code"
"#;

/// The longest pause before a retry. The first retry has none; the pauses are 1, 2, 4 … seconds.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The checksum of `cksum` (POSIX).
static CKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_CKSUM);

/// A download under way.
pub(super) struct Fetch<'a> {
    request: &'a CopyRequest,
    source: &'a RemoteSource,
    received: u64,
    /// Of what was received, if it may be needed.
    digest: Option<Digest<'static, u32, Table<1>>>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(request: &'a CopyRequest, source: &'a RemoteSource) -> Self {
        Self {
            request,
            source,
            received: 0,
            digest: (request.retries > 0).then(|| CKSUM.digest()),
        }
    }

    /// Writes the archive to `pipe`. Returns the outcome and the stderr of the last command.
    pub(super) async fn run<C, F, IO>(
        mut self,
        mut connect: C,
        mut pipe: DuplexStream,
    ) -> Result<(CommandOutcome, String), CopyError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut pause = Duration::ZERO;
        let mut retries = 0;
        loop {
            let before = self.received;
            let failure = match self.once(&mut connect, &mut pipe).await {
                Err(failure) if retries < self.request.retries && may_pass(&failure) => failure,
                ended => return ended,
            };
            drop(failure);
            retries = retries.saturating_add(1);
            // A connection that brought something was not refused.
            if self.received > before {
                pause = Duration::ZERO;
            }
            sleep(pause).await;
            pause = pause
                .saturating_mul(2)
                .clamp(Duration::from_secs(1), MAX_PAUSE);
        }
    }

    async fn once<C, F, IO>(
        &mut self,
        connect: C,
        pipe: &mut DuplexStream,
    ) -> Result<(CommandOutcome, String), CopyError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = CommandStreams::from_query("stdout=true&stderr=true");
        let command = self.command();
        let words = command.iter().map(String::as_str);
        let request = self.request.command(words, streams)?;
        let mut session: CommandSession = request.connect(connect).await?;
        let stdout = session.stdout.take().ok_or(KubeError::Closed)?;
        let stderr = session.stderr.take();
        let forwarding = self.forward(stdout, pipe);
        let ((), stderr, outcome) = tokio::join!(forwarding, text(stderr), session.outcome());
        Ok((outcome?, stderr))
    }

    /// The command that prints the archive, or the rest of it.
    fn command(&self) -> Vec<String> {
        let RemoteSource { folder, name } = self.source;
        let received = self.received;
        match &self.digest {
            Some(digest) if received > 0 => {
                let sum = checksum(digest.clone(), received);
                let numbers = [received.to_string(), sum.to_string()];
                let words = ["sh", "-c", CONTINUE, "sh", folder, name].map(str::to_owned);
                words.into_iter().chain(numbers).collect()
            }
            _ => ["tar", "cf", "-", "-C", folder, "--", name]
                .map(str::to_owned)
                .into(),
        }
    }

    /// Copies stdout to the pipe, up to the end of either. The outcome has the reason.
    async fn forward(&mut self, mut stdout: CommandReader, pipe: &mut DuplexStream) {
        let mut buffer = vec![0; READ];
        while let Ok(len @ 1..) = stdout.read(&mut buffer).await {
            let bytes = buffer.get(..len).unwrap_or_default();
            if pipe.write_all(bytes).await.is_err() {
                return;
            }
            self.received = self
                .received
                .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
            if let Some(digest) = &mut self.digest {
                digest.update(bytes);
            }
        }
    }
}

/// `cksum` appends the length, in as few bytes as it has, the lowest first.
fn checksum(mut digest: Digest<'static, u32, Table<1>>, length: u64) -> u32 {
    let mut left = length;
    while left > 0 {
        let [lowest, ..] = left.to_le_bytes();
        digest.update(&[lowest]);
        left >>= 8;
    }
    digest.finalize()
}

/// The failure is one of the connection or of a server that is overloaded or restarts.
fn may_pass(failure: &CopyError) -> bool {
    match failure {
        CopyError::Connect(ConnectError::Refused(refusal)) => matches!(
            refusal.status(),
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        CopyError::Connect(ConnectError::WrongProtocol(_)) => false,
        CopyError::Session(error) | CopyError::Connect(ConnectError::Session(error)) => !matches!(
            error,
            KubeError::Protocol(_) | KubeError::StreamHeaders(_) | KubeError::NoUpgrade(_)
        ),
        CopyError::Connect(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that `cksum` of coreutils prints.
    #[test]
    fn checksums_are_those_of_cksum() {
        for (bytes, expected) in [
            (b"".to_vec(), 4_294_967_295),
            (b"123456789".to_vec(), 930_766_865),
            (vec![7; 70_000], 638_236_592),
        ] {
            let mut digest = CKSUM.digest();
            digest.update(&bytes);
            assert_eq!(checksum(digest, bytes.len() as u64), expected);
        }
    }
}
