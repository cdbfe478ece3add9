//! What packagers generate from the command line: completions and manual pages.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{console, status::Failure};

/// The texts that the program writes instead of doing something.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Write the completions for a shell to stdout
    #[arg(long, value_name = "SHELL", value_enum)]
    completions: Option<Shell>,

    /// Write the manual page to stdout, or that of a command: --man=get
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with = "completions"
    )]
    man: Option<String>,
}

impl GenerateArgs {
    /// Writes what is asked for.
    pub(crate) fn write(&self, mut program: Command) -> Result<(), Failure> {
        let mut text = Vec::new();
        if let Some(shell) = self.completions {
            clap_complete::generate(shell, &mut program, "lacewing", &mut text);
        }
        if let Some(name) = &self.man {
            let page = page(program, name)?;
            clap_mangen::Man::new(page)
                .render(&mut text)
                .map_err(Failure::local)?;
        }
        console::print_bytes(&text)
    }
}

/// The program, or one of its commands.
fn page(mut program: Command, name: &str) -> Result<Command, Failure> {
    program.build();
    if name.is_empty() {
        return Ok(program);
    }
    let Some(command) = program.find_subcommand(name) else {
        let names = program.get_subcommands().map(Command::get_name);
        let names: Vec<_> = names.collect();
        return Err(Failure::usage(format!(
            "--man: {name:?} is none of {}",
            names.join(", ")
        )));
    };
    Ok(command.clone())
}
