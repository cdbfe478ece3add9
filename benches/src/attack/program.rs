//! lacewingd as the victim: the program as strangers meet it, with a directory that
//! has what they would look for. Its log is a pipe without a reader.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::dialect::Dialect;
use super::victim::Victim;

/// Files of the large directory.
const MANY: usize = 10_000;
/// Files that are read in pieces.
pub(crate) const LARGE: usize = 100;

/// Starts lacewingd, with at most `descriptors` files if given.
pub(crate) fn start(
    program: &Path,
    dialect: Dialect,
    descriptors: Option<u32>,
) -> Result<Victim, String> {
    let mut command = Command::new("sh");
    let limit = match descriptors {
        Some(most) => format!("ulimit -n {most}; "),
        None => String::new(),
    };
    command
        .arg("-c")
        .arg(format!("{limit}exec \"$0\" \"$@\""))
        .arg(program)
        .arg(directory()?)
        .args(["--https", "off", "--http", "127.0.0.1:0", "--threads", "2"])
        .args(["--protocols", &dialect.offer()]);
    let mut child = command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let output = child.stdout.take().ok_or("lacewingd has no output")?;
    let address = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            line.trim()
                .strip_prefix("http://")?
                .split('/')
                .next()?
                .parse()
                .ok()
        });
    match address {
        Some(address) => Ok(Victim::foreign(address, child)),
        None => Err(format!(
            "{} does not start: `cargo build --release -p lacewingd`",
            program.display()
        )),
    }
}

/// The directory, made once for all cases.
fn directory() -> Result<&'static Path, String> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| make().map_err(|error| error.to_string()));
    made.as_deref().map_err(Clone::clone)
}

/// The path of the directory.
fn root() -> PathBuf {
    std::env::temp_dir().join(format!("lacewing-attack-{}", std::process::id()))
}

fn make() -> std::io::Result<PathBuf> {
    let root = root();
    fs::create_dir_all(root.join("many"))?;
    fs::write(root.join("hello.txt"), "hello world")?;
    fs::write(root.join(".secret"), "secret")?;
    for number in 0..MANY {
        fs::write(root.join(format!("many/{number}-{}", "x".repeat(60))), "")?;
    }
    for number in 0..LARGE {
        fs::File::create(root.join(format!("large-{number}")))?.set_len(10_000_000)?;
    }
    symlink("/etc/passwd", root.join("out"))?;
    let made = Command::new("mkfifo").arg(root.join("fifo")).status()?;
    match made.success() {
        true => Ok(root),
        false => Err(std::io::Error::other("mkfifo failed")),
    }
}

/// Removes the directory.
pub(crate) fn clean_up() {
    let _ = fs::remove_dir_all(root());
}
