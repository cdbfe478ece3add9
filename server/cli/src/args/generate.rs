//! What packagers generate from the command line: completions and the manual page.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// The texts that lacewingd writes instead of serving.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Writes the completions for a shell to the standard output, and ends.
    #[arg(long, value_name = "SHELL", value_enum)]
    completions: Option<Shell>,

    /// Writes the manual page to the standard output, and ends.
    #[arg(long, conflicts_with = "completions")]
    man: bool,
}

impl GenerateArgs {
    /// Writes what is asked for. Returns false if nothing is.
    pub(crate) fn write(&self, output: &mut impl Write) -> io::Result<bool> {
        let mut command = super::Args::command();
        let mut text = Vec::new();
        if let Some(shell) = self.completions {
            clap_complete::generate(shell, &mut command, "lacewingd", &mut text);
        } else if self.man {
            clap_mangen::Man::new(command).render(&mut text)?;
        } else {
            return Ok(false);
        }
        output.write_all(&text)?;
        output.flush()?;
        Ok(true)
    }
}
