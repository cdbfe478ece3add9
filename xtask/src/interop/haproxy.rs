//! HAProxy 2.6 takes TLS off or puts it on, with ALPN or with NPN, around
//! programs that speak SPDY in cleartext. It passes the bytes as they are.

use super::fixture::{Fixture, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
use super::http2::{get, get_parallel, post_digest};
use super::process::{Server, free_port};
use super::{Case, Outcome, expect, expect_part, old_node, qt};

/// The versions, and the server of ours that takes each for what it is on
/// cleartext.
const VERSIONS: [(&str, Shared); 3] = [
    ("spdy/2", Shared::Lacewingd),
    ("spdy/3", Shared::LacewingdSpdy3),
    ("spdy/3.1", Shared::Lacewingd),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (version, server) in VERSIONS {
        cases.extend(in_front(version, server));
        cases.extend(in_between(version));
    }
    cases.push(Case::new("spdy/3/haproxy/npn-qt-get-50-mb", |fixture| {
        let port = fixture.port(Shared::LacewingdSpdy3, Security::Plain)?;
        let proxy = Proxy::take_off(fixture, "npn spdy/3", port)?;
        qt::get(fixture, proxy.port, MB_50)
    }));
    cases
}

/// Clients with TLS, HAProxy, our server without.
fn in_front(version: &'static str, server: Shared) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |by: &'static str, what: &str, run: fn(&Fixture, &str, u16) -> Outcome| {
        let name = format!("{version}/haproxy/{by}-{what}");
        cases.push(Case::new(name, move |fixture| {
            let port = fixture.port(server, Security::Plain)?;
            let proxy = Proxy::take_off(fixture, &format!("{by} {version}"), port)?;
            run(fixture, version, proxy.port)
        }));
    };
    add("alpn", "lacewing-get-50-mb", |fixture, version, port| {
        get(fixture, version, Security::Tls, port, MB_50)
    });
    add("alpn", "lacewing-parallel-20", |fixture, version, port| {
        get_parallel(fixture, version, Security::Tls, port, MEDIUM, 20)
    });
    add("alpn", "s-client", |fixture, version, port| {
        s_client(
            fixture,
            port,
            &["-alpn", version],
            "ALPN protocol: ",
            version,
        )
    });
    add("npn", "node-8-get-1-mb", |fixture, version, port| {
        old_node::client(fixture, version, port, &["get", &format!("/{MB_1}")])
            .and_then(|printed| expect(&printed, &fixture.answer(MB_1)))
    });
    add("npn", "node-8-parallel-20", |fixture, version, port| {
        let printed = old_node::client(
            fixture,
            version,
            port,
            &["parallel", "20", &format!("/{SMALL}")],
        )?;
        expect(&printed, &format!("20 {}", fixture.answer(SMALL)))
    });
    add("npn", "s-client", |fixture, version, port| {
        let options = ["-tls1_2", "-nextprotoneg", version];
        s_client(fixture, port, &options, "Next protocol: (1) ", version)
    });
    cases
}

/// Our client without TLS, HAProxy, servers with it.
fn in_between(version: &'static str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (by, peer, shared) in [
        ("alpn", "node", Shared::NodeSpdyTls),
        ("alpn", "lacewingd", Shared::EchoTls),
        ("npn", "node-8", Shared::Node8Npn),
        ("npn", "node-0.10", Shared::OldNodeNpn),
    ] {
        let mut add = |what: &str, run: fn(&Fixture, &str, u16) -> Outcome| {
            let name = format!("{version}/lacewing-to-haproxy/{by}-{peer}-{what}");
            cases.push(Case::new(name, move |fixture| {
                let port = fixture.port(shared, Security::Tls)?;
                let proxy = Proxy::put_on(fixture, &format!("{by} {version}"), port)?;
                run(fixture, version, proxy.port)
            }));
        };
        if shared == Shared::EchoTls {
            add("echo-1-mb", echo);
            continue;
        }
        add("get-1-mb", |fixture, version, port| {
            get(fixture, version, Security::Plain, port, MB_1)
        });
        add("upload-1-mb", |fixture, version, port| {
            post_digest(fixture, version, Security::Plain, port, MB_1)
        });
    }
    cases
}

fn echo(fixture: &Fixture, version: &str, port: u16) -> Outcome {
    let out = fixture.scratch(MB_1);
    let mut command = super::http2::lacewing(fixture, version);
    command
        .args(["-X", "POST", "-T"])
        .arg(fixture.file(MB_1))
        .arg("-o")
        .arg(&out);
    command.arg(Security::Plain.url(port, "echo"));
    fixture.run(&mut command, 30)?.success()?;
    super::http2::same_file(fixture, &out, MB_1)
}

/// The agreed protocol, as `openssl s_client` prints it.
pub(super) fn s_client(
    fixture: &Fixture,
    port: u16,
    options: &[&str],
    says: &str,
    version: &str,
) -> Outcome {
    let mut openssl = fixture.tool("openssl")?;
    openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    let printed = fixture.run(openssl.args(options), 20)?.stdout;
    expect_part(&printed, &format!("{says}{version}\n"))
}

/// A HAProxy of its own, for as long as it is kept. With NPN it stays below
/// TLS 1.3, which has none.
pub(super) struct Proxy {
    pub(super) port: u16,
    _server: Server,
}

impl Proxy {
    /// TLS towards the client, cleartext towards the server at `port`.
    fn take_off(fixture: &Fixture, negotiation: &str, port: u16) -> Result<Self, String> {
        let both = fixture.cert_and_key()?;
        let mut tls = format!("ssl crt {} {negotiation}", both.display());
        if negotiation.starts_with("npn") {
            tls.push_str(" ssl-max-ver TLSv1.2");
        }
        Self::start(fixture, &tls, &format!("127.0.0.1:{port}"))
    }

    /// Cleartext towards the client, TLS towards the server at `port`.
    pub(super) fn put_on(fixture: &Fixture, negotiation: &str, port: u16) -> Result<Self, String> {
        let tls = format!("ssl verify none ssl-max-ver TLSv1.2 {negotiation}");
        Self::start(fixture, "", &format!("127.0.0.1:{port} {tls}"))
    }

    fn start(fixture: &Fixture, bind: &str, server: &str) -> Result<Self, String> {
        let port = free_port()?;
        let config = format!(
            "global
  log stderr local0
defaults
  mode tcp
  log global
  option tcplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen spdy
  bind 127.0.0.1:{port} {bind}
  server peer {server}
"
        );
        let file = fixture.scratch("haproxy.cfg");
        std::fs::write(&file, config).map_err(|e| e.to_string())?;
        let mut haproxy = fixture.tool("haproxy")?;
        haproxy.arg("-db").arg("-f").arg(&file);
        let log = fixture.scratch("haproxy.log");
        Ok(Self {
            port,
            _server: Server::start("haproxy", &mut haproxy, port, log)?,
        })
    }
}
