//! The files that file servers serve, and the configurations of those that need a file for it.

use super::Scratch;
use crate::shell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variants of a server's configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    pub(super) tls: bool,
    /// One line for each request, to a file.
    pub(super) access_log: bool,
    /// The length of a reply's body, for the server that decodes no path.
    pub(super) reply: u64,
}

impl Serving {
    /// Cleartext, without a log, for requests of `/`.
    pub(super) const PLAIN: Self = Self {
        tls: false,
        access_log: false,
        reply: 11,
    };
}

/// Folders and files below the scratch folder. The site has the paths of the benchmarks' routes.
pub(super) struct Site {
    folder: PathBuf,
}

/// The lengths of the files `/bytes/LENGTH`.
const LENGTHS: [u64; 5] = [1_404, 64 << 10, 1 << 20, 5_000_000, 1 << 30];

impl Site {
    pub(super) fn new(scratch: &Scratch) -> Result<Self, String> {
        let site = Self {
            folder: scratch.path("site"),
        };
        let bytes = site.bytes();
        std::fs::create_dir_all(&bytes).map_err(|e| format!("{}: {e}", bytes.display()))?;
        write(&site.root().join("index.html"), "hello world")?;
        write(&site.root().join("small.txt"), "hello world\n")?;
        for length in LENGTHS {
            // A file without blocks takes no room on the disk, and is read as zeros.
            let file = File::create(bytes.join(length.to_string()));
            file.and_then(|file| file.set_len(length))
                .map_err(|e| format!("{}: {e}", bytes.display()))?;
        }
        let upload = site.upload();
        std::fs::write(&upload, vec![b'x'; 1 << 20])
            .map_err(|e| format!("{}: {e}", upload.display()))?;
        let mut certificate = Command::new("openssl");
        certificate.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        certificate.args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        certificate.args(["-subj", "/CN=localhost", "-keyout"]);
        certificate
            .arg(site.key())
            .arg("-out")
            .arg(site.certificate());
        shell::output(&mut certificate)?;
        Ok(site)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The folder of the files `/bytes/LENGTH`.
    pub(super) fn bytes(&self) -> PathBuf {
        self.root().join("bytes")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The content of an upload: 1 MiB.
    pub(super) fn upload(&self) -> PathBuf {
        self.folder.join("1mib.bin")
    }

    pub(super) fn error_log(&self) -> PathBuf {
        self.folder.join("error.log")
    }

    /// The file for the access log of a server.
    pub(super) fn log(&self, server: &str) -> Result<File, String> {
        let path = self.folder.join(format!("{server}.log"));
        File::create(&path).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Writes h2o's configuration.
    pub(super) fn h2o(&self, port: u16, options: Serving) -> Result<PathBuf, String> {
        let ssl = match options.tls {
            true => format!(
                "  ssl:\n    key-file: {}\n    certificate-file: {}\n",
                self.key().display(),
                self.certificate().display()
            ),
            false => String::new(),
        };
        let log = match options.access_log {
            true => format!("access-log: {}\n", self.folder.join("h2o.log").display()),
            false => String::new(),
        };
        // Without `user`, root becomes nobody, who may not read the folder for temporary files.
        let user = match is_root() {
            true => "user: root\n",
            false => "",
        };
        let path = self.folder.join(format!("h2o-{port}.conf"));
        let text = format!(
            "num-threads: 1\n{user}http2-max-concurrent-requests-per-connection: 1000\n{log}\
             listen:\n  host: 127.0.0.1\n  port: {port}\n{ssl}\
             hosts:\n  default:\n    paths:\n      \"/\":\n        file.dir: {}\n",
            self.root().display()
        );
        write(&path, &text).map(|()| path)
    }

    /// Writes nginx's configuration: one process.
    ///
    /// `sendfile` is on for the long files alone. With it, nginx writes a response's head and its
    /// DATA apart, with TCP_NODELAY off: the DATA then waits until the client acknowledges the
    /// head, which Linux delays by 40 ms. 40,000 requests one at a time took half an hour. For short
    /// files it saves no CPU.
    pub(super) fn nginx(&self, port: u16, options: Serving) -> Result<PathBuf, String> {
        let folder = self.folder.display();
        let (ssl, certificate) = match options.tls {
            true => (
                " ssl",
                format!("ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"),
            ),
            false => ("", String::new()),
        };
        let log = match options.access_log {
            true => format!("{folder}/nginx.log"),
            false => "off".to_owned(),
        };
        // Without `user`, root's worker becomes nobody.
        let user = match is_root() {
            true => "user root;",
            false => "",
        };
        let path = self.folder.join(format!("nginx-{port}.conf"));
        let text = format!(
            "daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid; {user}\n\
             events {{ worker_connections 10240; }}\n\
             http {{\n  access_log {log}; keepalive_requests 1000000000;\n  \
             http2_max_concurrent_streams 1000; client_max_body_size 0;\n  \
             client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;\n  \
             fastcgi_temp_path {folder}/nginx-fastcgi; uwsgi_temp_path {folder}/nginx-uwsgi;\n  \
             scgi_temp_path {folder}/nginx-scgi;\n  \
             server {{ listen 127.0.0.1:{port} http2{ssl}; root {folder}/root; {certificate}\n    \
             location /bytes/ {{ sendfile on; }}\n  }}\n}}\n"
        );
        write(&path, &text).map(|()| path)
    }
}

fn is_root() -> bool {
    shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
