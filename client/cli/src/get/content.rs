//! The content of a request, from the command line.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::options::{Get, Message};
use crate::{decoding, progress::Meter, status::Failure, upload::Upload};

/// The most bytes that are read from files and stdin into memory.
const MAX_IN_MEMORY: u64 = 1 << 30;

/// The content of each request of a run.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Nothing,
    Bytes(Bytes),
    /// Streamed; `-` is stdin.
    File(PathBuf),
}

impl Content {
    /// Reads what is to be sent. A single file for --data-binary or --upload-file is streamed later.
    pub(super) async fn new(message: &Message) -> Result<Self, Failure> {
        if let Some(path) = &message.upload_file {
            return Ok(Self::File(path.clone()));
        }
        let binary = [&message.data_binary[..], &message.json].concat();
        let only = message.data.is_empty() && message.data_raw.is_empty() && binary.len() == 1;
        let one = binary.first().filter(|_| only);
        if let Some(path) = one.and_then(|one| one.strip_prefix('@')) {
            return Ok(Self::File(path.into()));
        }
        let mut pieces = Vec::new();
        for text in &message.data {
            pieces.push(match text.strip_prefix('@') {
                Some(path) => without_line_ends(read(path.as_ref()).await?),
                None => {
                    old_habit(text)?;
                    text.clone().into_bytes()
                }
            });
        }
        for text in &binary {
            pieces.push(match text.strip_prefix('@') {
                Some(path) => read(path.as_ref()).await?,
                None => text.clone().into_bytes(),
            });
        }
        pieces.extend(
            message
                .data_raw
                .iter()
                .map(|text| text.clone().into_bytes()),
        );
        if pieces.is_empty() {
            return Ok(Self::Nothing);
        }
        let between: &[u8] = if message.json.is_empty() { b"&" } else { b"" };
        Ok(Self::Bytes(pieces.join(between).into()))
    }

    pub(super) fn is_stdin(&self) -> bool {
        matches!(self, Self::File(path) if path == Path::new("-"))
    }

    /// The body of one request.
    pub(super) async fn body(&self, meter: &Meter) -> Result<Upload, Failure> {
        match self {
            Self::Nothing => Ok(Upload::none()),
            Self::Bytes(bytes) => Ok(Upload::bytes(bytes.clone(), meter.clone())),
            Self::File(path) => Upload::open(path, meter.clone()).await,
        }
    }
}

/// The method of the command line, or the one that goes with its content.
pub(super) fn method(message: &Message) -> Method {
    let form = [
        &message.data,
        &message.data_binary,
        &message.data_raw,
        &message.json,
    ];
    match &message.method {
        Some(method) => method.clone(),
        None if message.head => Method::HEAD,
        None if message.upload_file.is_some() => Method::PUT,
        None if form.iter().any(|texts| !texts.is_empty()) => Method::POST,
        None => Method::GET,
    }
}

/// The header fields: those of the command line replace our own.
pub(super) fn fields(get: &Get) -> HeaderMap {
    let message = &get.message;
    let json = !message.json.is_empty();
    let form = [&message.data, &message.data_binary, &message.data_raw];
    let agent = concat!("lacewing/", env!("CARGO_PKG_VERSION"));
    let mut fields = HeaderMap::new();
    let accept = if json { "application/json" } else { "*/*" };
    fields.insert(header::ACCEPT, HeaderValue::from_static(accept));
    fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    if json {
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    } else if form.iter().any(|texts| !texts.is_empty()) {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        fields.insert(header::CONTENT_TYPE, form);
    }
    if get.streams.expect_continue {
        let wish = HeaderValue::from_static("100-continue");
        fields.insert(header::EXPECT, wish);
    }
    if message.compressed {
        let accepted = HeaderValue::from_static(decoding::ACCEPTED);
        fields.insert(header::ACCEPT_ENCODING, accepted);
    }
    let range = message.range.as_ref().map(|range| format!("bytes={range}"));
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        fields.insert(header::RANGE, range);
    }
    for (name, _) in &message.trailers {
        fields.append(header::TRAILER, HeaderValue::from(name.clone()));
    }
    for (index, (name, value)) in message.headers.iter().enumerate() {
        // The first field with a name replaces the default; later ones are appended.
        let earlier = message.headers.iter().take(index);
        if earlier.into_iter().any(|(other, _)| other == name) {
            fields.append(name, value.clone());
        } else {
            fields.insert(name, value.clone());
        }
    }
    fields
}

pub(super) fn trailers(message: &Message) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    for (name, value) in &message.trailers {
        trailers.append(name, value.clone());
    }
    (!trailers.is_empty()).then_some(trailers)
}

/// Once, `-d FILE` sent a file. Its name would be sent now.
fn old_habit(text: &str) -> Result<(), Failure> {
    if text == "-" || (!text.is_empty() && Path::new(text).is_file()) {
        return Err(Failure::usage(format!(
            "-d {text} would send the text {text:?}, as curl does; to send what the file has, write \
             -d @{text} (without line ends) or --data-binary @{text}; for the text, --data-raw {text}"
        )));
    }
    Ok(())
}

async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use tokio::io::AsyncReadExt as _;
    let failed = |error| Failure::unreadable(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let limit = MAX_IN_MEMORY.saturating_add(1);
    if path == Path::new("-") {
        let stdin = tokio::io::stdin();
        stdin
            .take(limit)
            .read_to_end(&mut bytes)
            .await
            .map_err(failed)?;
    } else {
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        file.take(limit)
            .read_to_end(&mut bytes)
            .await
            .map_err(failed)?;
    }
    if bytes.len() as u64 > MAX_IN_MEMORY {
        let text = format!("{}: more than 1 GiB; stream it with -T", path.display());
        return Err(Failure::unreadable(text));
    }
    Ok(bytes)
}

/// As curl reads a file for `-d`.
fn without_line_ends(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    bytes
}
