//! The options for what responses contain.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::site::Coding;

/// The options for what responses contain.
#[derive(Debug, Args)]
#[command(next_help_heading = "Content")]
pub(crate) struct ContentArgs {
    /// The file that is served in place of its directory. With several, the first
    /// that exists.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "index.html",
        value_parser = index)]
    pub(crate) index: Vec<String>,

    /// The file, by its path in the directory, that answers GET and HEAD for paths
    /// without a file, with status 200. Only if the client names text/html in
    /// `accept`, and the last name of the path has no dot.
    #[arg(long, value_name = "FILE")]
    pub(crate) fallback: Option<String>,

    /// For single-page applications: `--fallback index.html`.
    #[arg(long, conflicts_with = "fallback")]
    pub(crate) spa: bool,

    /// The `cache-control` of files, such as `max-age=3600`.
    #[arg(long, value_name = "VALUE")]
    pub(crate) cache_control: Option<HeaderValue>,

    /// Compresses text on its way, in a coding that the client accepts: files and
    /// directory pages, not what upstreams send.
    #[arg(long)]
    pub(crate) compress: bool,

    /// Serves the files `NAME.br`, `NAME.zst` and `NAME.gz` in place of NAME to clients
    /// that accept their codings, unless NAME is newer: `br,zstd,gzip`, the preferred
    /// first.
    #[arg(long, value_name = "CODINGS", value_delimiter = ',', num_args = 0..=1,
        default_missing_value = "br,zstd,gzip", require_equals = true)]
    pub(crate) precompressed: Vec<Coding>,

    /// A field for every response, which replaces the one of that name. May be
    /// repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<AddedField>,

    /// Lets pages of every origin read the files, and answers their OPTIONS.
    #[arg(long)]
    pub(crate) cors: bool,

    /// The file, by its path on this machine, that is sent with an error status, such
    /// as `404=errors/missing.html`. It is read at the start. May be repeated.
    #[arg(long, value_name = "STATUS=FILE")]
    pub(crate) error_page: Vec<ErrorPageFile>,
}

impl ContentArgs {
    /// The file for paths without one.
    pub(crate) fn fallback(&self) -> Option<String> {
        let spa = self.spa.then_some("index.html");
        let path = self.fallback.as_deref().or(spa)?;
        Some(path.trim_matches('/').to_owned())
    }
}

fn index(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') {
        return Err(format!("`{text}` is no name of a file"));
    }
    Ok(text.to_owned())
}

/// A header field for every response.
#[derive(Clone, Debug)]
pub(crate) struct AddedField(pub(crate) HeaderName, pub(crate) HeaderValue);

/// The server itself sets the fields that describe a message.
const RESERVED: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

impl FromStr for AddedField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` is no field; write 'name: value'"))?;
        let name: HeaderName = name
            .parse()
            .map_err(|_| format!("`{name}` is no name of a field"))?;
        if RESERVED.contains(&name) || name == "keep-alive" {
            return Err(format!("`{name}` describes the message; lacewingd sets it"));
        }
        let value = value
            .trim()
            .parse()
            .map_err(|_| format!("the value of `{name}` has a character that no field may have"))?;
        Ok(Self(name, value))
    }
}

/// An error status, and the file that is sent with it.
#[derive(Clone, Debug)]
pub(crate) struct ErrorPageFile(pub(crate) StatusCode, pub(crate) PathBuf);

impl FromStr for ErrorPageFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (status, file) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no error page; write 404=FILE"))?;
        let status: Option<StatusCode> = status.parse().ok();
        status
            .filter(|status| (400..600).contains(&status.as_u16()))
            .map(|status| Self(status, file.into()))
            .ok_or_else(|| format!("`{text}` has no status from 400 to 599 before the `=`"))
    }
}
