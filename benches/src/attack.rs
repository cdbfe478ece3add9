//! The attack suite: a raw attacker plays hostile and honest traffic against a
//! victim in a process of its own. It reports the cost and the reaction.
//!
//! The attacker knows frames and header codecs, no engine: it can say anything.
//! The victim is the server facade, or the client facade before a hostile
//! server, at default limits and with a counting allocator. `cargo xtask attack`
//! builds both programs and runs them.

mod bounds;
mod case;
mod command_line;
mod comparison;
mod dialect;
mod families;
mod figures;
pub mod heap;
mod peer;
mod peers;
mod play;
mod probe;
mod process;
mod program;
mod run;
mod seen;
mod table;
mod tcp;
mod victim;
mod victim_program;
mod wire;

pub use command_line::main as attacker;
pub use victim_program::main as victim;
