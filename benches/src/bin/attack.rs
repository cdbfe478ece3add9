//! The attacker: plays the suite and prints its table (`cargo xtask attack`).

use std::process::ExitCode;

use lacewing_benches::{Error, attack};

fn main() -> Result<ExitCode, Error> {
    attack::attacker()
}
