//! Switches of the command line with a value: `--hidden=false` is stronger than `hidden = true` in
//! a file.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// Returns the command line as clap knows it, and the ids of the switches that have a value. Those
/// that are off are left out.
pub(super) fn without_switches(
    command: &Command,
    command_line: &[OsString],
) -> (Vec<OsString>, Vec<String>) {
    let mut words = Vec::with_capacity(command_line.len());
    let mut ids = Vec::new();
    let mut options_end = false;
    for word in command_line {
        options_end |= word == "--";
        match word.to_str().filter(|_| !options_end) {
            Some(text) => match switch(command, text) {
                Some((id, name, on)) => {
                    ids.push(id);
                    words.extend(on.then(|| name.into()));
                }
                None => words.push(word.clone()),
            },
            None => words.push(word.clone()),
        }
    }
    (words, ids)
}

/// The id of the switch, the word without a value, and the value.
fn switch<'a>(command: &Command, word: &'a str) -> Option<(String, &'a str, bool)> {
    let (name, value) = word.split_once('=')?;
    let on = value.parse().ok()?;
    let long = name.strip_prefix("--")?;
    let mut all = command.get_arguments();
    let arg = all.find(|arg| super::document::is_called(arg, long))?;
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    is_switch.then(|| (arg.get_id().to_string(), name, on))
}
