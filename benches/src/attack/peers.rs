//! The servers of other projects that the suite is played against, each started
//! afresh for each case: the comparison of `--peers`.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::victim::Victim;

/// A server that HTTP/2's cases are played against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerServer {
    Lacewing,
    Hyper,
    Nghttpd,
    Nginx,
    H2o,
}

impl PeerServer {
    pub(crate) const ALL: [PeerServer; 5] = [
        PeerServer::Lacewing,
        PeerServer::Hyper,
        PeerServer::Nghttpd,
        PeerServer::Nginx,
        PeerServer::H2o,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            PeerServer::Lacewing => "lacewing",
            PeerServer::Hyper => "hyper",
            PeerServer::Nghttpd => "nghttpd",
            PeerServer::Nginx => "nginx",
            PeerServer::H2o => "h2o",
        }
    }

    /// Has the handlers of the suite: some wait, some leave an upload unread. The
    /// others serve files: what the suite asks of a handler, they answer with 404.
    pub(crate) fn has_handlers(self) -> bool {
        matches!(self, PeerServer::Lacewing | PeerServer::Hyper)
    }

    /// Returns whether this machine has it.
    pub(crate) fn is_installed(self) -> bool {
        if self.has_handlers() {
            return true;
        }
        std::env::var_os("PATH").is_some_and(|path| {
            let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
            std::env::split_paths(&path)
                .chain(sbin)
                .any(|folder| folder.join(self.name()).is_file())
        })
    }

    /// Starts a server of its own defaults, on files of the bench routes' names.
    pub(crate) fn start(self, victim: &Path, files: &Path) -> Result<Victim, String> {
        if self.has_handlers() {
            let arguments: &[&str] = match self {
                PeerServer::Hyper => &["hyper"],
                _ => &["server"],
            };
            let arguments: Vec<String> = arguments.iter().map(|word| (*word).into()).collect();
            return Victim::start(victim, &arguments, None).map(Victim::by_resident_memory);
        }
        let port = free_port()?;
        let mut command = self.command(port, files)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name()))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let victim = Victim::foreign(address, child);
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() >= end {
                return Err(format!("{} does not listen", self.name()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(victim)
    }

    fn command(self, port: u16, files: &Path) -> Result<Command, String> {
        let config = |text: String| {
            let path = files.with_file_name(format!("{}-{port}.conf", self.name()));
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok::<PathBuf, String>(path)
        };
        let files_shown = files.display();
        let mut command = Command::new(self.name());
        match self {
            PeerServer::Nghttpd => {
                command.args(["--no-tls", "--address=127.0.0.1", "--htdocs"]);
                command.arg(files).arg(port.to_string());
            }
            PeerServer::Nginx => {
                let scratch = files.with_file_name(format!("nginx-{port}"));
                fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
                let scratch = scratch.display();
                let path = config(format!(
                    "daemon off; master_process off; pid {scratch}/pid; error_log /dev/null;
                    events {{}}
                    http {{
                        access_log off;
                        client_body_temp_path {scratch}; proxy_temp_path {scratch};
                        fastcgi_temp_path {scratch}; uwsgi_temp_path {scratch};
                        scgi_temp_path {scratch};
                        server {{
                            listen 127.0.0.1:{port} http2;
                            root {files_shown}; index index.html;
                        }}
                    }}"
                ))?;
                command.arg("-c").arg(path);
            }
            _ => {
                let path = config(format!(
                    "num-threads: 2
listen:
  host: 127.0.0.1
  port: {port}
hosts:
  default:
    paths:
      /:
        file.dir: {files_shown}
"
                ))?;
                command.arg("-c").arg(path);
            }
        }
        Ok(command)
    }
}

/// The files that stand for the bench routes: `/`, and `/bytes/N` for each N of
/// the suite.
pub(crate) fn files(scratch: &Path) -> Result<PathBuf, String> {
    const SIZES: [usize; 3] = [3_000_000, 10_000_000, 100_000_000];
    let files = scratch.join("files");
    let write = |name: &str, size: usize| {
        let path = files.join(name);
        let content = if size == 0 {
            b"hello world".to_vec()
        } else {
            vec![b'x'; size]
        };
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(files.join("bytes")).map_err(|error| error.to_string())?;
    write("index.html", 0)?;
    for size in SIZES {
        write(&format!("bytes/{size}"), size)?;
    }
    Ok(files)
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_are_always_there() {
        assert!(PeerServer::Lacewing.is_installed() && PeerServer::Hyper.is_installed());
    }

    #[test]
    fn configurations_name_the_port_and_the_files() {
        let scratch = std::env::temp_dir().join(format!("lacewing-peers-{}", std::process::id()));
        let files = scratch.join("files");
        fs::create_dir_all(&files).unwrap();
        for server in [PeerServer::Nginx, PeerServer::H2o] {
            let command = server.command(12_345, &files).unwrap();
            let path = command.get_args().nth(1).map(PathBuf::from).unwrap();
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains("12345") && text.contains(&*files.to_string_lossy()));
        }
        fs::remove_dir_all(scratch).unwrap();
    }
}
