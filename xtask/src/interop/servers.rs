//! The servers that outlive a case, and how each is started.

use super::lab::{Lab, Security};
use super::process::{Server, free_port};
use super::{jetty, keepalive, netty, old_node, proxies};
use std::process::Command;

/// Offers everything, and on cleartext SPDY/3 rather than SPDY/3.1.
const SPDY3_FIRST: &str = "h2,spdy/3,spdy/3.1,spdy/2,http/1.1";

/// Servers that outlive a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shared {
    /// `lacewingd` with both of its ports.
    Lacewingd,
    /// The same, taking SPDY/3 for what it says on cleartext: it looks like
    /// SPDY/3.1 there, which is what the other one takes it for.
    LacewingdSpdy3,
    /// The same with NPN.
    LacewingdNpn,
    /// `bench-server`, for `POST /echo`.
    EchoPlain,
    EchoPlainSpdy3,
    EchoTls,
    /// An axum application on our server, with both of its ports.
    Site,
    /// Node's `spdy-transport`, one for each version on cleartext.
    NodeSpdy2,
    NodeSpdy3,
    NodeSpdy31,
    NodeSpdyTls,
    /// Node's `spdy` package.
    NodeSpdyPackage,
    /// `push serve` with both of its ports: what it takes on cleartext.
    Push,
    PushSpdy3,
    NettyPlain,
    NettyTls,
    /// Node 8 with `spdy-transport`, TLS with NPN.
    Node8Npn,
    /// Node 0.10 with the `spdy` package of its time.
    OldNodeSpdy2,
    OldNodeSpdy3,
    OldNodeSpdy31,
    OldNodeNpn,
    NodeHttp2Plain,
    NodeHttp2Tls,
    NghttpdPlain,
    NghttpdTls,
    GoHttp2Plain,
    GoHttp2Tls,
    HyperPlain,
    HyperTls,
    JettyPlain,
    JettyTls,
    /// The echo service of gRPC: tonic's on its own transport and on our server,
    /// grpcio's and grpc-js'.
    GrpcTonic,
    GrpcLacewing,
    GrpcIo,
    GrpcJs,
    /// nginx, which ends connections after so many requests.
    NginxAfter100,
    NginxAfter3,
    /// Reverse proxies in front of `Site`, with TLS.
    Nginx,
    H2o,
    Nghttpx,
    Apache,
    Haproxy,
    Caddy,
    Lighttpd,
    /// The same in cleartext, where it takes `Upgrade: h2c`.
    NghttpxPlain,
    /// Reverse proxies in front of `GrpcLacewing`, in cleartext.
    NginxGrpc,
    NghttpxGrpc,
}

pub(super) struct Started {
    pub(super) server: Server,
    pub(super) plain: u16,
    pub(super) tls: u16,
}

impl Shared {
    pub(super) fn start(self, lab: &Lab) -> Result<Started, String> {
        match self {
            Self::Lacewingd => return lab.start_lacewingd("", &[]),
            Self::LacewingdSpdy3 => return lab.start_lacewingd("spdy/3", &[]),
            Self::LacewingdNpn => return lab.start_lacewingd("", &["--npn"]),
            Self::Site => return site(lab),
            Self::Push => return push(lab, "spdy/3.1"),
            Self::PushSpdy3 => return push(lab, "spdy/3"),
            _ => {}
        }
        let port = free_port()?;
        let mut command = self.command(lab, &port.to_string())?;
        let name = format!("{self:?}");
        let log = lab.scratch(&format!("{name}.log"));
        Ok(Started {
            server: Server::start(&name, &mut command, port, log)?,
            plain: port,
            tls: port,
        })
    }

    /// The command of a server with one port.
    fn command(self, lab: &Lab, port: &str) -> Result<Command, String> {
        use Security::{Plain, Tls};
        // PORT FOLDER [CERT KEY] is how the peers of this project are called.
        let serve = |mut command: Command, between: &[&str], security: Security| {
            command.arg(port).arg(lab.files()).args(between);
            if security == Tls {
                command.arg(lab.cert()).arg(lab.key());
            }
            command
        };
        let spdy_transport = |kind: &str, security| {
            let node = lab.node("spdy-transport-server.js")?;
            Ok::<_, String>(serve(node, &[kind], security))
        };
        let echo = |options: &[&str]| {
            let mut command = lab.ours("bench-server");
            command.args(["--port", port]).args(options);
            command
        };
        Ok(match self {
            Self::Lacewingd | Self::LacewingdSpdy3 | Self::Site | Self::EchoPlain => echo(&[]),
            Self::LacewingdNpn | Self::Push | Self::PushSpdy3 => echo(&[]),
            Self::EchoPlainSpdy3 => echo(&["--protocols", SPDY3_FIRST]),
            Self::EchoTls => {
                let mut command = echo(&[]);
                command.arg("--cert").arg(lab.cert());
                command.arg("--key").arg(lab.key());
                command
            }
            Self::NodeSpdy2 => spdy_transport("spdy/2", Plain)?,
            Self::NodeSpdy3 => spdy_transport("spdy/3", Plain)?,
            Self::NodeSpdy31 => spdy_transport("spdy/3.1", Plain)?,
            Self::NodeSpdyTls => spdy_transport("tls", Tls)?,
            Self::NodeSpdyPackage => serve(lab.node("spdy-server.js")?, &[], Tls),
            Self::NettyPlain => serve(netty::server(lab)?, &[], Plain),
            Self::NettyTls => serve(netty::server(lab)?, &[], Tls),
            Self::Node8Npn => serve(old_node::node_8("spdy-transport-server.js")?, &["npn"], Tls),
            Self::OldNodeSpdy2 => old_node::spdy_server(lab, port, &["plain", "spdy/2"])?,
            Self::OldNodeSpdy3 => old_node::spdy_server(lab, port, &["plain", "spdy/3"])?,
            Self::OldNodeSpdy31 => old_node::spdy_server(lab, port, &["plain", "spdy/3.1"])?,
            Self::OldNodeNpn => old_node::spdy_server(lab, port, &["npn"])?,
            Self::NodeHttp2Plain => serve(lab.node("http2-server.js")?, &[], Plain),
            Self::NodeHttp2Tls => serve(lab.node("http2-server.js")?, &[], Tls),
            Self::GoHttp2Plain => serve(lab.go("http2-server")?, &[], Plain),
            Self::GoHttp2Tls => serve(lab.go("http2-server")?, &[], Tls),
            Self::HyperPlain => serve(lab.rust("hyper-server"), &[], Plain),
            Self::HyperTls => serve(lab.rust("hyper-server"), &[], Tls),
            Self::JettyPlain => serve(jetty::server(lab)?, &[], Plain),
            Self::JettyTls => serve(jetty::server(lab)?, &[], Tls),
            Self::GrpcIo => {
                let mut command = lab.python("grpc_server.py")?;
                command.arg(port);
                command
            }
            Self::GrpcJs => {
                let mut command = lab.node("grpc-server.js")?;
                command.arg(port);
                command
            }
            Self::NginxAfter100 => keepalive::nginx(lab, port, 100)?,
            Self::NginxAfter3 => keepalive::nginx(lab, port, 3)?,
            Self::GrpcTonic => {
                let mut command = lab.rust("grpc-server");
                command.args([port, "tonic"]);
                command
            }
            Self::GrpcLacewing => {
                let mut command = lab.rust("grpc-server");
                command.args([port, "lacewing"]);
                command
            }
            Self::Nginx => proxies::nginx(lab, port)?,
            Self::H2o => proxies::h2o(lab, port)?,
            Self::Nghttpx => proxies::nghttpx(lab, port)?,
            Self::NghttpxPlain => proxies::nghttpx_plain(lab, port)?,
            Self::Apache => proxies::apache(lab, port)?,
            Self::Haproxy => proxies::haproxy(lab, port)?,
            Self::Caddy => proxies::caddy(lab, port)?,
            Self::Lighttpd => proxies::lighttpd(lab, port)?,
            Self::NginxGrpc => proxies::nginx_grpc(lab, port)?,
            Self::NghttpxGrpc => proxies::nghttpx_grpc(lab, port)?,
            Self::NghttpdPlain => {
                let mut command = lab.tool("nghttpd")?;
                command.args(["--no-tls", "-d"]).arg(lab.files()).arg(port);
                command
            }
            Self::NghttpdTls => {
                let mut command = lab.tool("nghttpd")?;
                command.arg("-d").arg(lab.files()).arg(port);
                command.arg(lab.key()).arg(lab.cert());
                command
            }
        })
    }
}

impl Lab {
    /// A `lacewingd` of its own, with its cleartext and its TLS port; `version`
    /// is what will be spoken with it.
    pub(super) fn lacewingd(&self, version: &str) -> Result<(Server, u16, u16), String> {
        let Started { server, plain, tls } = self.start_lacewingd(version, &[])?;
        Ok((server, plain, tls))
    }

    fn start_lacewingd(&self, version: &str, options: &[&str]) -> Result<Started, String> {
        let (plain, tls) = (free_port()?, free_port()?);
        let mut command = self.ours("lacewingd");
        command
            .arg(self.files())
            .args(["--http", &format!("127.0.0.1:{plain}")])
            .args(["--https", &format!("127.0.0.1:{tls}")])
            .arg("--cert")
            .arg(self.cert())
            .arg("--key")
            .arg(self.key())
            .args(options)
            .env("RUST_BACKTRACE", "1");
        if version == "spdy/3" {
            command.args(["--protocols", SPDY3_FIRST]);
        }
        let log = self.scratch("lacewingd.log");
        let server = Server::start("lacewingd", &mut command, plain, log)?;
        Ok(Started { server, plain, tls })
    }
}

fn site(lab: &Lab) -> Result<Started, String> {
    let (plain, tls) = (free_port()?, free_port()?);
    let mut command = lab.rust("site");
    command.arg(lab.files()).arg(lab.cert()).arg(lab.key());
    command.args([plain.to_string(), tls.to_string()]);
    command.env("RUST_BACKTRACE", "1");
    let server = Server::start("site", &mut command, plain, lab.scratch("site.log"))?;
    Ok(Started { server, plain, tls })
}

fn push(lab: &Lab, version: &str) -> Result<Started, String> {
    let (plain, tls) = (free_port()?, free_port()?);
    let mut command = lab.rust("push");
    command.arg("serve").arg(lab.files());
    command.arg(lab.cert()).arg(lab.key());
    command.args([&plain.to_string(), &tls.to_string(), version]);
    let server = Server::start("push", &mut command, plain, lab.scratch("push.log"))?;
    Ok(Started { server, plain, tls })
}
