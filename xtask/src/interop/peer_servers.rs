//! The commands of the servers that outlive a case.

use super::fixture::{Fixture, SPDY3_FIRST, Security, Shared, Started};
use super::process::{Server, free_port};
use super::{connect_info, jetty, keepalive, netty, old_node, proxies};
use std::process::Command;

/// Starts `server`; `Fixture` calls this when a case first asks for its port.
pub(super) fn start(server: Shared, fixture: &Fixture) -> Result<Started, String> {
    match server {
        Shared::Lacewingd => return fixture.start_lacewingd("", &[]),
        Shared::LacewingdSpdy3 => return fixture.start_lacewingd("spdy/3", &[]),
        Shared::LacewingdNpn => return fixture.start_lacewingd("", &["--npn"]),
        Shared::Site => return site(fixture),
        Shared::Push => return push(fixture, "spdy/3.1"),
        Shared::PushSpdy3 => return push(fixture, "spdy/3"),
        _ => {}
    }
    let port = free_port()?;
    let mut command = command(server, fixture, &port.to_string())?;
    let name = format!("{server:?}");
    let log = fixture.scratch(&format!("{name}.log"));
    Ok(Started {
        server: Server::start(&name, &mut command, port, log)?,
        plain: port,
        tls: port,
    })
}

/// The command of a server with one port.
fn command(server: Shared, fixture: &Fixture, port: &str) -> Result<Command, String> {
    use Security::{Plain, Tls};
    // PORT FOLDER [CERT KEY] is how the peers of this project are called.
    let serve = |mut command: Command, between: &[&str], security: Security| {
        command.arg(port).arg(fixture.files()).args(between);
        if security == Tls {
            command.arg(fixture.cert()).arg(fixture.key());
        }
        command
    };
    let spdy_transport = |kind: &str, security| {
        let node = fixture.node("spdy-transport-server.js")?;
        Ok::<_, String>(serve(node, &[kind], security))
    };
    let echo = |options: &[&str]| {
        let mut command = fixture.ours("bench-server");
        command.args(["--port", port]).args(options);
        command
    };
    Ok(match server {
        Shared::Lacewingd | Shared::LacewingdSpdy3 | Shared::Site | Shared::EchoPlain => echo(&[]),
        Shared::LacewingdNpn | Shared::Push | Shared::PushSpdy3 => echo(&[]),
        Shared::EchoPlainSpdy3 => echo(&["--protocols", SPDY3_FIRST]),
        Shared::EchoTls => {
            let mut command = echo(&[]);
            command.arg("--cert").arg(fixture.cert());
            command.arg("--key").arg(fixture.key());
            command
        }
        Shared::AxumServe => connect_info::application(fixture, port),
        Shared::NodeSpdy2 => spdy_transport("spdy/2", Plain)?,
        Shared::NodeSpdy3 => spdy_transport("spdy/3", Plain)?,
        Shared::NodeSpdy31 => spdy_transport("spdy/3.1", Plain)?,
        Shared::NodeSpdyTls => spdy_transport("tls", Tls)?,
        Shared::NodeSpdyPackage => serve(fixture.node("spdy-server.js")?, &[], Tls),
        Shared::NettyPlain => serve(netty::server(fixture)?, &[], Plain),
        Shared::NettyTls => serve(netty::server(fixture)?, &[], Tls),
        Shared::Node8Npn => serve(old_node::node_8("spdy-transport-server.js")?, &["npn"], Tls),
        Shared::OldNodeSpdy2 => old_node::spdy_server(fixture, port, &["plain", "spdy/2"])?,
        Shared::OldNodeSpdy3 => old_node::spdy_server(fixture, port, &["plain", "spdy/3"])?,
        Shared::OldNodeSpdy31 => old_node::spdy_server(fixture, port, &["plain", "spdy/3.1"])?,
        Shared::OldNodeNpn => old_node::spdy_server(fixture, port, &["npn"])?,
        Shared::NodeHttp2Plain => serve(fixture.node("http2-server.js")?, &[], Plain),
        Shared::NodeHttp2Tls => serve(fixture.node("http2-server.js")?, &[], Tls),
        Shared::GoHttp2Plain => serve(fixture.go("http2-server")?, &[], Plain),
        Shared::GoHttp2Tls => serve(fixture.go("http2-server")?, &[], Tls),
        Shared::HyperPlain => serve(fixture.rust("hyper-server"), &[], Plain),
        Shared::HyperTls => serve(fixture.rust("hyper-server"), &[], Tls),
        Shared::JettyPlain => serve(jetty::server(fixture)?, &[], Plain),
        Shared::JettyTls => serve(jetty::server(fixture)?, &[], Tls),
        Shared::GrpcIo => {
            let mut command = fixture.python("grpc_server.py")?;
            command.arg(port);
            command
        }
        Shared::GrpcJs => {
            let mut command = fixture.node("grpc-server.js")?;
            command.arg(port);
            command
        }
        Shared::NginxAfter100 => keepalive::nginx(fixture, port, 100)?,
        Shared::NginxAfter3 => keepalive::nginx(fixture, port, 3)?,
        Shared::GrpcTonic => {
            let mut command = fixture.rust("grpc-server");
            command.args([port, "tonic"]);
            command
        }
        Shared::GrpcLacewing => {
            let mut command = fixture.rust("grpc-server");
            command.args([port, "lacewing"]);
            command
        }
        Shared::Nginx => proxies::nginx(fixture, port)?,
        Shared::H2o => proxies::h2o(fixture, port)?,
        Shared::Nghttpx => proxies::nghttpx(fixture, port)?,
        Shared::NghttpxPlain => proxies::nghttpx_plain(fixture, port)?,
        Shared::Apache => proxies::apache(fixture, port)?,
        Shared::Haproxy => proxies::haproxy(fixture, port)?,
        Shared::Caddy => proxies::caddy(fixture, port)?,
        Shared::Lighttpd => proxies::lighttpd(fixture, port)?,
        Shared::NginxGrpc => proxies::nginx_grpc(fixture, port)?,
        Shared::NghttpxGrpc => proxies::nghttpx_grpc(fixture, port)?,
        Shared::NghttpdPlain => {
            let mut command = fixture.tool("nghttpd")?;
            command
                .args(["--no-tls", "-d"])
                .arg(fixture.files())
                .arg(port);
            command
        }
        Shared::NghttpdTls => {
            let mut command = fixture.tool("nghttpd")?;
            command.arg("-d").arg(fixture.files()).arg(port);
            command.arg(fixture.key()).arg(fixture.cert());
            command
        }
    })
}

fn site(fixture: &Fixture) -> Result<Started, String> {
    let (plain, tls) = (free_port()?, free_port()?);
    let mut command = fixture.rust("site");
    command
        .arg(fixture.files())
        .arg(fixture.cert())
        .arg(fixture.key());
    command.args([plain.to_string(), tls.to_string()]);
    command.env("RUST_BACKTRACE", "1");
    let server = Server::start("site", &mut command, plain, fixture.scratch("site.log"))?;
    Ok(Started { server, plain, tls })
}

fn push(fixture: &Fixture, version: &str) -> Result<Started, String> {
    let (plain, tls) = (free_port()?, free_port()?);
    let mut command = fixture.rust("push");
    command.arg("serve").arg(fixture.files());
    command.arg(fixture.cert()).arg(fixture.key());
    command.args([&plain.to_string(), &tls.to_string(), version]);
    let server = Server::start("push", &mut command, plain, fixture.scratch("push.log"))?;
    Ok(Started { server, plain, tls })
}
