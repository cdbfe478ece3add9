//! The destinations of response bodies: stdout, files, a directory.

use std::{
    collections::HashSet,
    io::{IsTerminal as _, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::Uri;
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use crate::{
    capture::Captured,
    console,
    decoding::{Coding, Writer},
    get::options::Get,
    progress::Quiet,
    status::{self, Failure},
};

/// One destination for each URL, in the order of the command line.
#[derive(Debug)]
pub(crate) struct Plan {
    destinations: Vec<Destination>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Stdout,
    File(PathBuf),
    /// Nowhere.
    Discard,
}

/// The place in a destination at which a body begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A file is created, or emptied.
    New,
    /// A file is created; one that exists is an error.
    Fresh,
    /// A file keeps this many bytes.
    At(u64),
    /// The file is complete already.
    Complete,
}

/// A destination that is open.
pub(crate) struct Sink {
    destination: Destination,
    writer: Writer,
    decoding: Decoding,
}

/// The state of a sink that undoes content codings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoding {
    /// It writes what it gets.
    No,
    /// It has got nothing yet.
    Empty,
    Begun,
}

impl Plan {
    /// Names every file before anything is fetched.
    pub(crate) fn new(get: &Get) -> Result<Self, Failure> {
        let destinations = match (&get.output.output, get.urls.as_slice()) {
            (None, urls) if get.output.naming.remote_name => {
                named(urls).map(Destination::File).collect()
            }
            (None, urls) => {
                if get.course.parallel() > 1 && urls.len() > 1 {
                    return Err(Failure::usage(match get.course.is_repeated() {
                        true => {
                            "--multiply fetches up to 100 at once (or --parallel), which would mix the bodies on \
                             stdout; add --output DIRECTORY (or --output /dev/null), or --parallel 1"
                        }
                        false => {
                            "--parallel would mix the bodies on stdout; add --output DIRECTORY (or \
                             --output /dev/null)"
                        }
                    }));
                }
                vec![Destination::Stdout; urls.len()]
            }
            (Some(path), urls) if path.is_dir() => named(urls)
                .map(|name| Destination::File(path.join(name)))
                .collect(),
            (Some(path), [_]) => vec![Destination::File(path.clone())],
            // A device such as /dev/null takes all bodies.
            (Some(path), urls) if path.exists() && !path.is_file() => {
                vec![Destination::File(path.clone()); urls.len()]
            }
            (Some(path), _) => {
                let reason = match get.course.is_repeated() {
                    true => "with --multiply",
                    false => "for several URLs",
                };
                return Err(Failure::usage(format!(
                    "--output {} must be a directory {reason} (create it first), or a device such \
                     as /dev/null",
                    path.display()
                )));
            }
        };
        Ok(Self { destinations })
    }

    pub(crate) fn into_destinations(self) -> Vec<Destination> {
        self.destinations
    }

    /// Turns the progress bar off if a body goes to the terminal.
    pub(crate) fn disturbed_by_progress(&self) -> Quiet {
        let stdout = self.destinations.contains(&Destination::Stdout);
        if stdout && std::io::stdout().is_terminal() {
            Quiet::Yes
        } else {
            Quiet::No
        }
    }
}

impl Destination {
    /// Opens the destination.
    pub(crate) async fn open(self, start: Start) -> Result<Sink, Failure> {
        let writer: Writer = match &self {
            Self::Stdout => Box::new(tokio::io::stdout()),
            Self::Discard => Box::new(tokio::io::sink()),
            Self::File(path) => {
                let file = open_file(path, start).await;
                Box::new(file.map_err(|error| failed(&self, &error))?)
            }
        };
        Ok(Sink {
            destination: self,
            writer,
            decoding: Decoding::No,
        })
    }
}

impl Sink {
    /// Keeps what is written from here on.
    pub(crate) fn capture(&mut self, captured: &Captured) {
        let writer = std::mem::replace(&mut self.writer, Box::new(tokio::io::sink()));
        self.writer = captured.tee(writer);
    }

    /// Undoes these content codings from here on.
    pub(crate) fn decode(&mut self, codings: &[Coding]) {
        if !codings.is_empty() {
            let writer = std::mem::replace(&mut self.writer, Box::new(tokio::io::sink()));
            self.writer = Coding::undo(codings, writer);
            self.decoding = Decoding::Empty;
        }
    }

    pub(crate) async fn write(&mut self, data: Bytes) -> Result<(), Failure> {
        let mut written = self.writer.write_all(&data).await;
        if self.decoding != Decoding::No && !data.is_empty() {
            self.decoding = Decoding::Begun;
            if written.is_ok() {
                // A decoder keeps what a reader could have already.
                written = self.writer.flush().await;
            }
        }
        written.map_err(|error| self.failed(&error))
    }

    /// Completes the destination.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        if self.decoding == Decoding::Empty {
            // No content is none in every coding: the response to HEAD has none.
            return Ok(());
        }
        let mut done = Ok(());
        if self.decoding == Decoding::Begun {
            // It fails if the coded bytes are not complete.
            done = self.writer.shutdown().await;
        }
        if done.is_ok() {
            // The shutdown of stdout writes nothing.
            done = self.writer.flush().await;
        }
        done.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        // Errors of decoders are not the operating system's.
        if self.decoding == Decoding::Begun && error.raw_os_error().is_none() {
            let why = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
                _ => error.to_string(),
            };
            let text = format!("the body cannot be decoded: {why}");
            return Failure::new(status::CODING, text);
        }
        failed(&self.destination, error)
    }
}

async fn open_file(path: &Path, start: Start) -> std::io::Result<File> {
    let offset = match start {
        Start::At(offset) => offset,
        Start::Fresh => return File::create_new(path).await,
        Start::New | Start::Complete => return File::create(path).await,
    };
    let mut file = File::options().write(true).open(path).await?;
    file.set_len(offset).await?;
    file.seek(SeekFrom::End(0)).await?;
    Ok(file)
}

fn failed(destination: &Destination, error: &std::io::Error) -> Failure {
    match destination {
        Destination::Stdout => console::unwritten(error),
        Destination::Discard => Failure::local(error),
        Destination::File(path) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let path = path.display();
            Failure::local(format!("{path} exists; to overwrite it, add --clobber"))
        }
        Destination::File(path) => {
            Failure::local(format!("cannot write {}: {error}", path.display()))
        }
    }
}

/// Chooses a file name for each URL: the last segment of its path, or `index.html`. A name that is
/// already used gets a number.
fn named(urls: &[Uri]) -> impl Iterator<Item = PathBuf> {
    let mut taken = HashSet::new();
    urls.iter().map(move |url| {
        let last = url.path().rsplit('/').next().unwrap_or_default();
        // A plain name: a URL with `..` must not leave the directory.
        let name = match Path::new(last).file_name() {
            Some(name) => PathBuf::from(name),
            None => PathBuf::from("index.html"),
        };
        let mut candidate = name.clone();
        let mut number = 1_u32;
        while !taken.insert(candidate.clone()) {
            let mut next = name.clone().into_os_string();
            next.push(format!(".{number}"));
            candidate = PathBuf::from(next);
            number = number.saturating_add(1);
        }
        candidate
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_path_and_are_unique() {
        let urls: Vec<Uri> = [
            "http://a/x/y.txt?q",
            "http://a/",
            "http://b/y.txt",
            "http://a/..",
        ]
        .iter()
        .map(|url| url.parse().unwrap())
        .collect();
        let names: Vec<_> = named(&urls).collect();
        let expected = ["y.txt", "index.html", "y.txt.1", "index.html.1"].map(PathBuf::from);
        assert_eq!(names, expected);
    }
}
