//! The options of a run: those of the command line, and those of a configuration file that the
//! command line does not have.

mod document;
mod report;
mod switches;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};

use self::{
    document::{Document, Given},
    report::Report,
    switches::without_switches,
};
use crate::args::Args;

/// Bytes of a configuration file.
const MAX_FILE: u64 = 1 << 20;

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) args: Args,
    /// The texts of all options that were given, by their names.
    texts: BTreeMap<String, Vec<OsString>>,
}

impl Options {
    /// Reads the command line, and the configuration file that it names.
    pub(crate) fn read(command_line: &[OsString]) -> Result<Self, Error> {
        let command = Args::command();
        let (words, switches) = without_switches(&command, command_line);
        let mut named = command.clone().try_get_matches_from(&words)?;
        let Some(file) = named.get_one::<PathBuf>("config").cloned() else {
            return Self::of(&command, &mut named);
        };
        let document = Document::read(&command, &file)?;
        let is_named = |id: &str| {
            switches.iter().any(|switch| switch == id)
                || matches!(
                    named.value_source(id),
                    Some(ValueSource::CommandLine | ValueSource::EnvVariable)
                )
        };
        let mut all = words.get(..1).unwrap_or_default().to_vec();
        let used = document.options.iter().filter(|given| {
            let rivals = rivals(&command, &given.id);
            !is_named(&given.id) && !rivals.iter().any(|rival| is_named(rival))
        });
        all.extend(used.flat_map(Given::words));
        all.extend_from_slice(words.get(1..).unwrap_or_default());
        match command.clone().try_get_matches_from(all) {
            Ok(mut matches) => Self::of(&command, &mut matches),
            Err(error) => Err(document.combined(&error).into()),
        }
    }

    fn of(command: &Command, matches: &mut ArgMatches) -> Result<Self, Error> {
        let mut texts = BTreeMap::new();
        for arg in command.get_arguments() {
            let (Some(long), id) = (arg.get_long(), arg.get_id().as_str()) else {
                continue;
            };
            if let Ok(Some(values)) = matches.try_get_raw(id) {
                texts.insert(long.to_owned(), values.map(OsStr::to_owned).collect());
            }
        }
        Ok(Self {
            args: Args::from_arg_matches_mut(matches)?,
            texts,
        })
    }

    /// The names of the options that differ from those of another reading.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let here = self.texts.iter();
        let changed = here.filter(|(name, texts)| other.texts.get(*name) != Some(*texts));
        let there = other.texts.keys();
        let gone = there.filter(|name| !self.texts.contains_key(*name));
        changed
            .map(|(name, _)| &**name)
            .chain(gone.map(|name| &**name))
    }
}

/// The options that exclude this one.
fn rivals(command: &Command, id: &str) -> Vec<String> {
    let id_of = |arg: &clap::Arg| arg.get_id().as_str().to_owned();
    let conflicts = |arg: &clap::Arg| -> Vec<String> {
        let conflicts = command.get_arg_conflicts_with(arg);
        conflicts.into_iter().map(id_of).collect()
    };
    // Only one of the two names the other.
    let all = command.get_arguments();
    let by_others = all.filter(|arg| conflicts(arg).iter().any(|one| one == id));
    let own = command.get_arguments().find(|arg| *arg.get_id() == id);
    by_others
        .map(id_of)
        .chain(own.map(conflicts).unwrap_or_default())
        .collect()
}

/// Reads a file of bounded length.
fn text_of(file: &Path) -> Result<String, Error> {
    let failed = |why: String| Error::Unreadable(format!("--config {}: {why}", file.display()));
    let length = fs::metadata(file).map_err(|error| failed(error.to_string()))?;
    if length.len() > MAX_FILE {
        return Err(failed(format!(
            "the configuration is longer than {MAX_FILE} bytes"
        )));
    }
    fs::read_to_string(file).map_err(|error| failed(error.to_string()))
}

/// The reason why there are no options.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong, or asks for help only.
    CommandLine(Box<clap::Error>),
    /// The file cannot be read.
    Unreadable(String),
    /// The file has errors.
    Configuration(Report),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(error) => error.fmt(f),
            Self::Unreadable(error) => f.write_str(error),
            Self::Configuration(report) => report.fmt(f),
        }
    }
}

impl From<clap::Error> for Error {
    fn from(error: clap::Error) -> Self {
        Self::CommandLine(Box::new(error))
    }
}

impl From<Report> for Error {
    fn from(report: Report) -> Self {
        Self::Configuration(report)
    }
}

#[cfg(test)]
mod tests;
