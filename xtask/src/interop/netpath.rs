//! `cargo xtask netpath`: one stream over a path of 100 ms and 200 Mbit/s, made
//! of two network namespaces, against HTTP/1.1 over the same path.
//!
//! That needs root and the kernel's `netem`. Without them it says so, and
//! measures on a path of its own, a relay in this process. TCP does not see
//! that delay: HTTP/1.1 has no window at all there.

mod relay;

use super::fixture::{Fixture, MB_100, Security, Shared};
use super::peer_servers;
use super::process::Server;
use crate::shell;
use std::process::Command;
use std::time::{Duration, Instant};

/// Each way; there and back it is twice that.
const DELAY: Duration = Duration::from_millis(50);
const MEGABITS: f64 = 200.0;
/// Packets that the path holds: more than two times bandwidth × delay, so that
/// it is the windows that are measured.
const LIMIT: &str = "20000";
const SERVER: &str = "10.213.77.1";
const CLIENT: &str = "10.213.77.2";
const PORT: u16 = 8080;
/// The best of so many runs counts.
const RUNS: usize = 2;
/// The share of HTTP/1.1's rate that one stream of HTTP/2 must reach.
const ENOUGH: f64 = 0.9;
/// The length of the transfer: the start must not decide.
const FILE: &str = "200mb.bin";
const MEGABYTES: usize = 200;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`netpath` takes no argument, got `{arg}`"));
    }
    let fixture = Fixture::set_up(peer_servers::start)?;
    let part = std::fs::read(fixture.file(MB_100)).map_err(|e| e.to_string())?;
    std::fs::write(fixture.file(FILE), [part.as_slice(), &part].concat())
        .map_err(|e| e.to_string())?;
    drop(part);
    let (measured, how) = match Namespaces::lay() {
        Ok(path) => {
            let _server = path.server(&fixture)?;
            let authority = format!("{SERVER}:{PORT}");
            let rows = measure(&fixture, &authority, |command| path.client(command))?;
            (rows, "netem between two namespaces")
        }
        Err(why) => {
            say!("no namespaces with netem on this machine:\n{why}\n");
            let site = fixture.port(Shared::Site, Security::Plain)?;
            let port = relay::start(site, DELAY, MEGABITS * 1e6 / 8.0)?;
            let rows = measure(&fixture, &format!("127.0.0.1:{port}"), plain)?;
            (rows, "a relay")
        }
    };
    fixture.remove();
    say!("\n{DELAY:?} each way, {MEGABITS} Mbit/s, by {how}; {FILE}, the best of {RUNS}:\n");
    let mut slow = Vec::new();
    for direction in ["download", "upload"] {
        let of = |name: &str| {
            measured
                .iter()
                .find(|row| row.0 == direction && row.1 == name)
        };
        let Some((_, _, base)) = of("curl, HTTP/1.1") else {
            return Err("HTTP/1.1 was not measured".into());
        };
        for (_, name, time) in measured.iter().filter(|row| row.0 == direction) {
            let ratio = base.as_secs_f64() / time.as_secs_f64();
            let speed = megabits(time);
            say!("{direction:<9} {name:<18} {speed:>6.1} Mbit/s  {ratio:>5.2} of HTTP/1.1");
            if ratio < ENOUGH {
                slow.push(format!("{direction} by {name}: {ratio:.2}"));
            }
        }
    }
    if slow.is_empty() {
        Ok(())
    } else {
        let list = slow.join("\n  ");
        Err(format!("less than {ENOUGH} of HTTP/1.1:\n  {list}"))
    }
}

fn megabits(time: &Duration) -> f64 {
    MEGABYTES as f64 * 8.0 / time.as_secs_f64()
}

/// Direction, what was measured, its time.
type Row = (&'static str, &'static str, Duration);

fn measure(
    fixture: &Fixture,
    authority: &str,
    client: impl Fn(&[&str]) -> Command,
) -> Result<Vec<Row>, String> {
    let get = format!("http://{authority}/{FILE}");
    let digest = format!("http://{authority}/digest");
    let file = fixture.file(FILE).display().to_string();
    let curl = shell::find("curl").ok_or("`curl` is not installed (.ci/run installs it)")?;
    let curl = curl.display().to_string();
    let lacewing = fixture
        .ours("lacewing")
        .get_program()
        .to_string_lossy()
        .into_owned();
    let http1 = [curl.as_str(), "-sSf", "-o", "/dev/null", "--http1.1"];
    let http2 = [
        curl.as_str(),
        "-sSf",
        "-o",
        "/dev/null",
        "--http2-prior-knowledge",
    ];
    let ours = [
        lacewing.as_str(),
        "get",
        "--protocol",
        "h2",
        "-o",
        "/dev/null",
    ];
    let ways: [(&str, &str, Vec<&str>); 6] = [
        ("download", "curl, HTTP/1.1", [&http1[..], &[&get]].concat()),
        ("download", "curl, HTTP/2", [&http2[..], &[&get]].concat()),
        (
            "download",
            "lacewing, HTTP/2",
            [&ours[..], &[&get]].concat(),
        ),
        (
            "upload",
            "curl, HTTP/1.1",
            [&http1[..], &["-T", &file, &digest]].concat(),
        ),
        (
            "upload",
            "curl, HTTP/2",
            [&http2[..], &["-T", &file, &digest]].concat(),
        ),
        (
            "upload",
            "lacewing, HTTP/2",
            [&ours[..], &["-X", "POST", "-T", &file, &digest]].concat(),
        ),
    ];
    let mut rows = Vec::new();
    for (direction, name, command) in ways {
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let began = Instant::now();
            shell::output(&mut client(&command))?;
            best = best.min(began.elapsed());
        }
        say!("{direction} by {name}: {:.2} s", best.as_secs_f64());
        rows.push((direction, name, best));
    }
    Ok(rows)
}

/// Two namespaces with a wire between them; gone when dropped.
struct Namespaces {
    server: String,
    client: String,
}

impl Namespaces {
    fn lay() -> Result<Self, String> {
        let process = std::process::id();
        let path = Self {
            server: format!("lacewing-s{process}"),
            client: format!("lacewing-c{process}"),
        };
        let (server, client) = (path.server.as_str(), path.client.as_str());
        let ends = [(server, "lw0", SERVER), (client, "lw1", CLIENT)];
        for (space, _, _) in ends {
            ip(&["netns", "add", space])?;
        }
        ip(&[
            "link", "add", "lw0", "netns", server, "type", "veth", "peer", "name", "lw1", "netns",
            client,
        ])?;
        for (space, end, address) in ends {
            let address = format!("{address}/24");
            ip(&["-n", space, "address", "add", &address, "dev", end])?;
            ip(&["-n", space, "link", "set", end, "up"])?;
            ip(&["-n", space, "link", "set", "lo", "up"])?;
            let tc = shell::find("tc").ok_or("`tc` is not installed (.ci/run installs it)")?;
            let mut netem = inside(space);
            netem
                .arg(tc)
                .args(["qdisc", "add", "dev", end, "root", "netem"]);
            let (delay, rate) = (format!("{DELAY:?}"), format!("{MEGABITS}mbit"));
            netem.args(["delay", &delay, "rate", &rate, "limit", LIMIT]);
            shell::output(&mut netem)?;
        }
        Ok(path)
    }

    /// `site`, on the other side of the path.
    fn server(&self, fixture: &Fixture) -> Result<Server, String> {
        let site = fixture.rust("site");
        let mut command = inside(&self.server);
        command.arg(site.get_program());
        command
            .arg(fixture.files())
            .arg(fixture.cert())
            .arg(fixture.key());
        command.args([&PORT.to_string(), "8443", SERVER]);
        let log = fixture.scratch("site.log");
        Server::start_unseen("site", &mut command, log, || {
            let url = format!("http://{SERVER}:{PORT}/small.txt");
            shell::output(&mut self.client(&["curl", "-sSf", "-o", "/dev/null", &url])).is_ok()
        })
    }

    /// A command on this side of the path.
    fn client(&self, command: &[&str]) -> Command {
        let mut inside = inside(&self.client);
        inside.args(command);
        inside
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for space in [&self.server, &self.client] {
            // What was never made cannot be removed.
            let _ = ip(&["netns", "delete", space]);
        }
    }
}

fn plain(command: &[&str]) -> Command {
    let (program, args) = command.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn ip(args: &[&str]) -> Result<(), String> {
    let program = shell::find("ip").ok_or("`ip` is not installed (.ci/run installs it)")?;
    shell::output(Command::new(program).args(args)).map(drop)
}

/// The start of a command inside of a namespace.
fn inside(space: &str) -> Command {
    let program = shell::find("ip").unwrap_or_else(|| "ip".into());
    let mut command = Command::new(program);
    command.args(["netns", "exec", space]);
    command
}
