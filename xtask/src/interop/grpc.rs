//! gRPC: tonic, on its own transport (hyper) and on ours, grpcio (the C core's
//! Python) and grpc-js. Each calls every method of one echo service, and each
//! serves it.

use super::fixture::{Fixture, Security, Shared};
use super::process::Server;
use super::{Case, Outcome, expect};
use std::os::unix::net::UnixStream;
use std::process::Command;

/// The client's program, or transport, and the server's.
const PAIRS: [(&str, &str, Shared); 13] = [
    ("tonic", "lacewing", Shared::GrpcLacewing),
    ("grpcio", "lacewing", Shared::GrpcLacewing),
    ("grpc-js", "lacewing", Shared::GrpcLacewing),
    ("lacewing", "tonic", Shared::GrpcTonic),
    ("lacewing", "grpcio", Shared::GrpcIo),
    ("lacewing", "grpc-js", Shared::GrpcJs),
    ("lacewing", "lacewing", Shared::GrpcLacewing),
    ("tonic", "lacewing-behind-nginx", Shared::NginxGrpc),
    ("tonic", "lacewing-behind-nghttpx", Shared::NghttpxGrpc),
    ("grpcio", "lacewing-behind-nginx", Shared::NginxGrpc),
    ("grpc-js", "lacewing-behind-nghttpx", Shared::NghttpxGrpc),
    ("lacewing", "lacewing-behind-nginx", Shared::NginxGrpc),
    ("lacewing", "lacewing-behind-nghttpx", Shared::NghttpxGrpc),
];

pub(super) fn cases() -> Vec<Case> {
    let pairs = PAIRS.into_iter();
    let mut cases: Vec<Case> = pairs
        .map(|(client, server, shared)| {
            let name = format!("http2/grpc/client-on-{client}-server-on-{server}");
            Case::new(name, move |fixture| {
                let port = fixture.port(shared, Security::Plain)?;
                every_method(fixture, client, &format!("127.0.0.1:{port}"))
            })
        })
        .collect();
    for (client, server) in [
        ("grpcio", "lacewing"),
        ("grpc-js", "lacewing"),
        ("lacewing", "lacewing"),
        ("lacewing", "grpcio"),
    ] {
        let name = format!("http2/grpc/unix-client-on-{client}-server-on-{server}");
        cases.push(Case::new(name, move |fixture| {
            unix(fixture, client, server)
        }));
    }
    cases
}

/// Over a Unix socket. The C core percent-encodes its path into `:authority`.
fn unix(fixture: &Fixture, client: &str, server: &str) -> Outcome {
    let socket = fixture.scratch("grpc.sock");
    let target = format!("unix:{}", socket.display());
    let mut command = match server {
        "grpcio" => with(fixture.python("grpc_server.py")?, &target),
        transport => {
            let mut command = with(fixture.rust("grpc-server"), &target);
            command.arg(transport);
            command
        }
    };
    let log = fixture.scratch("grpc-unix.log");
    let listens = || UnixStream::connect(&socket).is_ok();
    let server = Server::start_unseen("grpc-server", &mut command, log, listens)?;
    every_method(fixture, client, &target)
        .map_err(|error| format!("{error}\n{}", server.log_tail()))
}

pub(super) fn every_method(fixture: &Fixture, client: &str, target: &str) -> Outcome {
    let mut client = match client {
        "grpcio" => with(fixture.python("grpc_client.py")?, target),
        "grpc-js" => with(fixture.node("grpc-client.js")?, target),
        transport => {
            let place = target.strip_prefix("127.0.0.1:").unwrap_or(target);
            let mut client = with(fixture.rust("grpc-client"), place);
            client.arg(transport);
            client
        }
    };
    let printed = fixture.run(&mut client, 90)?.success()?;
    let calls = "unary\nrefused\ncollect\nrepeat\nabandoned\nconverse\nin step\nat once";
    expect(&printed, calls)
}

fn with(mut command: Command, argument: &str) -> Command {
    command.arg(argument);
    command
}
