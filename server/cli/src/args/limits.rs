//! The options for bounds of the process and of its connections.

use std::{num::NonZeroU16, time::Duration};

use clap::Args;

use crate::disk::MIN_OPEN_FILES;

/// The bounds of the process and of its connections.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// The most files that are open at once, 16 or more. Default: a quarter of
    /// the file descriptors that the system grants (ulimit -n), at most 1024.
    #[arg(long, value_name = "N", value_parser = open_files)]
    pub(crate) max_open_files: Option<NonZeroU16>,

    /// The most connections at once. Over it, idle ones are closed, the longest idle
    /// first; if none is idle, new ones wait. Default: five eighths of the file
    /// descriptors that the system grants (ulimit -n).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,

    /// The most memory that all connections hold together, in MiB, 16 or more. Near
    /// it, those that hold most are read slowly, their requests are refused, and at
    /// last they are closed. Default: half of the memory of the machine or of its
    /// control group (container).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(16..))]
    pub(crate) max_memory: Option<u32>,

    /// Sends a PING to a silent client with open requests after this time, and
    /// closes the connection without an answer. Over HTTP/1.1, which has no PING,
    /// the kernel sends TCP keep-alive probes.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) keep_alive: Option<Duration>,

    /// Closes connections after this time without a request. Default: three
    /// minutes.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: Option<Duration>,

    /// Closes connections of this age, once their requests are answered.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) max_age: Option<Duration>,
}

fn open_files(text: &str) -> Result<NonZeroU16, String> {
    let files = text.parse::<NonZeroU16>().ok();
    files
        .filter(|files| usize::from(files.get()) >= MIN_OPEN_FILES)
        .ok_or_else(|| format!("`{text}` is no number from {MIN_OPEN_FILES} to 65535"))
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().filter(|seconds| *seconds > 0);
    seconds
        .map(|seconds| Duration::from_secs(seconds.into()))
        .ok_or_else(|| format!("`{text}` is no whole number of seconds from 1 on"))
}
