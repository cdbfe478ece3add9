//! A configuration file: its keys are the names of the long options.

use std::{
    error::Error as _,
    ffi::OsString,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Error,
    report::{Fault, Report},
    text_of,
};

/// Options that have no place in a file.
const ONLY_COMMAND_LINE: [&str; 6] = ["config", "check", "completions", "man", "help", "version"];

/// The key of the positional argument.
const DIRECTORY: &str = "directory";

/// The similarity from which on another name is suggested.
const SIMILAR: f64 = 0.7;

/// The options of a file.
#[derive(Debug)]
pub(super) struct Document {
    file: PathBuf,
    text: String,
    pub(super) options: Vec<Given>,
}

/// An option with its values, as the command line would have them.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) id: String,
    /// `None` for the positional argument.
    long: Option<String>,
    values: Vec<String>,
    is_switch: bool,
    key: Range<usize>,
}

impl Given {
    /// The words that a command line would have.
    pub(super) fn words(&self) -> Vec<OsString> {
        let values = self.values.iter();
        let word = |value: &String| match &self.long {
            Some(long) if self.is_switch => (value == "true").then(|| format!("--{long}")),
            Some(long) => Some(format!("--{long}={value}")),
            // It must not look like an option.
            None if value.starts_with('-') => Some(format!("./{value}")),
            None => Some(value.clone()),
        };
        values.filter_map(word).map(OsString::from).collect()
    }
}

impl Document {
    /// Reads a file. All its errors are found at once.
    pub(super) fn read(command: &Command, file: &Path) -> Result<Self, Error> {
        let text = text_of(file)?;
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut faults: Vec<Fault> = errors
            .iter()
            .map(|error| Fault {
                place: error.span().unwrap_or(0..0),
                why: error.message().to_owned(),
            })
            .collect();
        let mut options: Vec<Given> = Vec::new();
        // A document with wrong syntax may have keys that nobody wrote.
        if faults.is_empty() {
            for (key, value) in table.get_ref() {
                match given(command, key, value) {
                    Ok(given) => match options.iter().find(|one| one.id == given.id) {
                        Some(_) => faults.push(Fault {
                            place: key.span(),
                            why: format!("`{}` is here by another name too", key.get_ref()),
                        }),
                        None => options.push(given),
                    },
                    Err(found) => faults.extend(found),
                }
            }
        }
        if !faults.is_empty() {
            return Err(Report::new(file.to_owned(), text, faults).into());
        }
        Ok(Self {
            file: file.to_owned(),
            text,
            options,
        })
    }

    /// The report of options that do not go together.
    pub(super) fn combined(self, error: &clap::Error) -> Report {
        let why = sentence(error);
        // The most telling place is a key that the error names.
        let keys = self.options.iter().filter(|given| {
            let long = given.long.as_ref().map(|long| format!("--{long}"));
            long.is_some_and(|long| why.split([' ', '`', '\'']).any(|word| word == long))
        });
        let place = keys.map(|given| given.key.clone()).next().unwrap_or(0..0);
        Report::new(self.file, self.text, vec![Fault { place, why }])
    }
}

/// Returns whether an option has this name.
pub(super) fn is_called(arg: &Arg, name: &str) -> bool {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long() == Some(name) || aliases.contains(&name)
}

fn given(
    command: &Command,
    key: &Spanned<toml::de::DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Given, Vec<Fault>> {
    let name = &**key.get_ref();
    let wrong = |why: String| {
        let place = key.span();
        vec![Fault { place, why }]
    };
    if ONLY_COMMAND_LINE.contains(&name) {
        return Err(wrong(format!(
            "`{name}` has a meaning on the command line only"
        )));
    }
    let mut all = command.get_arguments();
    let is_meant = |arg: &&Arg| is_called(arg, name) || (arg.is_positional() && name == DIRECTORY);
    let Some(arg) = all.find(is_meant) else {
        return Err(wrong(unknown(command, name)));
    };
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let values = if is_switch {
        match value.get_ref() {
            DeValue::Boolean(on) => vec![(on.to_string(), value.span())],
            other => {
                let found = other.type_str();
                return Err(vec![Fault {
                    place: value.span(),
                    why: format!("`{name}` is true or false, and not of type {found}"),
                }]);
            }
        }
    } else {
        values(arg, name, value)?
    };
    let given = |values: Vec<String>| Given {
        id: arg.get_id().to_string(),
        long: arg.get_long().map(str::to_owned),
        values,
        is_switch,
        key: key.span(),
    };
    let mut faults = Vec::new();
    for (text, place) in &values {
        let words = given(vec![text.clone()]).words();
        if let Some(why) = refused(command, name, words) {
            let place = place.clone();
            faults.push(Fault { place, why });
        }
    }
    if faults.is_empty() {
        let texts = values.into_iter().map(|(text, _)| text);
        Ok(given(texts.collect()))
    } else {
        Err(faults)
    }
}

fn unknown(command: &Command, name: &str) -> String {
    let longs = command.get_arguments().filter_map(Arg::get_long);
    let names = longs.filter(|long| !ONLY_COMMAND_LINE.contains(long));
    let plain = name.to_lowercase().replace('_', "-");
    let similar = names
        .chain([DIRECTORY])
        .map(|other| (strsim::jaro_winkler(&plain, other), other))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match similar {
        Some((_, other)) => format!("there is no option `{name}`; did you mean `{other}`?"),
        None => format!("there is no option `{name}`; `lacewingd --help` lists them"),
    }
}

/// The values of an option, as texts.
fn values(
    arg: &Arg,
    name: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<(String, Range<usize>)>, Vec<Fault>> {
    let wrong = |place: Range<usize>, why: String| vec![Fault { place, why }];
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    match value.get_ref() {
        DeValue::Array(values) if is_list => {
            let texts = values.iter().map(|value| match text(value.get_ref()) {
                Some(text) => Ok((text, value.span())),
                None => Err(wrong(value.span(), type_error(name, value.get_ref()))),
            });
            texts.collect()
        }
        DeValue::Table(table) if is_list => {
            let Some(between) = separator(arg) else {
                let why = format!("`{name}` is a list of values, and no table");
                return Err(wrong(value.span(), why));
            };
            let texts = table
                .iter()
                .map(|(key, value)| match joined(value.get_ref()) {
                    Some(text) => Ok((format!("{}{between}{text}", key.get_ref()), value.span())),
                    None => Err(wrong(value.span(), type_error(name, value.get_ref()))),
                });
            texts.collect()
        }
        other => match text(other) {
            Some(text) => Ok(vec![(text, value.span())]),
            None => Err(wrong(value.span(), type_error(name, other))),
        },
    }
}

/// What stands between the two parts of a value, for options whose values have two.
fn separator(arg: &Arg) -> Option<&'static str> {
    let shown = arg.get_value_names()?.first()?;
    ["=", ": "]
        .into_iter()
        .find(|between| shown.contains(between))
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let number = i128::from_str_radix(number.as_str(), number.radix());
            number.ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// A value, or several with commas between them.
fn joined(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(values) => {
            let texts = values.iter().map(|value| text(value.get_ref()));
            texts
                .collect::<Option<Vec<_>>>()
                .map(|texts| texts.join(","))
        }
        value => text(value),
    }
}

fn type_error(name: &str, value: &DeValue<'_>) -> String {
    format!("`{name}` takes no value of type {}", value.type_str())
}

/// The reason why an option does not accept a value.
fn refused(command: &Command, name: &str, words: Vec<OsString>) -> Option<String> {
    let words = [OsString::from("lacewingd")].into_iter().chain(words);
    let error = command.clone().try_get_matches_from(words).err()?;
    if error.kind() == ErrorKind::MissingRequiredArgument {
        // The other one may be in the file too.
        return None;
    }
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => &**value,
        _ => "",
    };
    Some(match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => format!("`{name}`: {source}"),
        (None, Some(ContextValue::Strings(valid))) => {
            let valid = valid.join("`, `");
            format!("`{name}`: `{value}` is none of `{valid}`")
        }
        _ => sentence(&error),
    })
}

/// The first line of an error of the command line.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    // The line ends with a colon if the names of options follow, one each.
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut all = first.trim_start_matches("error: ").to_owned();
    if first.ends_with(':') {
        for line in lines.map_while(|line| line.strip_prefix("  ")) {
            all.push(' ');
            all.push_str(line);
        }
    }
    all
}
