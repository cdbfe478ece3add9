//! --continue-at: the range to ask for, and the place of the body in its file.

use http::{HeaderValue, StatusCode, Uri, header};

use super::{answer::Answer, redirect::Target, run::Run};
use crate::{
    output::{Destination, Start},
    status::{self, Failure},
};

/// Adds the range of --continue-at. Returns the bytes that are there already.
pub(super) fn resume(
    run: &Run,
    destination: &Destination,
    target: &mut Target,
) -> Result<u64, Failure> {
    let Some(at) = &run.get.output.continue_at else {
        return Ok(0);
    };
    let Destination::File(path) = destination else {
        return Err(Failure::usage(
            "--continue-at needs a file: add -o FILE or -O",
        ));
    };
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let at = match at.as_str() {
        "-" => length,
        number => number
            .parse()
            .map_err(|_| Failure::usage("--continue-at needs a number of bytes, or -"))?,
    };
    if at > length {
        return Err(Failure::usage(format!(
            "--continue-at {at}: {} has only {length} bytes",
            path.display()
        )));
    }
    let range = HeaderValue::from_str(&format!("bytes={at}-"));
    if let Some(range) = range.ok().filter(|_| at > 0) {
        target.fields.insert(header::RANGE, range);
    }
    Ok(at)
}

/// Decides where the body of a final response goes, for a download that resumes at this byte.
pub(super) fn start_of(answer: &Answer, at: u64, url: &Uri) -> Result<Start, Failure> {
    if at == 0 {
        return Ok(Start::New);
    }
    let range = answer
        .fields
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let range = range
        .and_then(|range| range.strip_prefix("bytes "))
        .unwrap_or_default();
    let wrong = |why: &str| {
        let text = format!("{url}: the download cannot be resumed at byte {at}: {why}");
        Err(Failure::new(status::RANGE, text))
    };
    match answer.status {
        StatusCode::PARTIAL_CONTENT if range.split('-').next() == Some(at.to_string().as_str()) => {
            Ok(Start::At(at))
        }
        StatusCode::PARTIAL_CONTENT => wrong("the server sent another range"),
        StatusCode::RANGE_NOT_SATISFIABLE
            if range.strip_prefix("*/") == Some(at.to_string().as_str()) =>
        {
            Ok(Start::Complete)
        }
        status if status.is_success() => {
            wrong("the server sends the whole; remove the file, or leave out --continue-at")
        }
        status => Err(Failure::http(url, status)),
    }
}
