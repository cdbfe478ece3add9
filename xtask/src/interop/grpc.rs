//! gRPC by tonic: its client on its own transport (hyper) and on ours, against
//! its server on its own transport and on ours.

use super::lab::{Lab, Security, Shared};
use super::{Case, Outcome, expect};

/// The client's transport and the server's.
const PAIRS: [(&str, &str, Shared); 7] = [
    ("tonic", "lacewing", Shared::GrpcLacewing),
    ("lacewing", "tonic", Shared::GrpcTonic),
    ("lacewing", "lacewing", Shared::GrpcLacewing),
    ("tonic", "lacewing-behind-nginx", Shared::NginxGrpc),
    ("tonic", "lacewing-behind-nghttpx", Shared::NghttpxGrpc),
    ("lacewing", "lacewing-behind-nginx", Shared::NginxGrpc),
    ("lacewing", "lacewing-behind-nghttpx", Shared::NghttpxGrpc),
];

pub(super) fn cases() -> Vec<Case> {
    let pairs = PAIRS.into_iter();
    pairs
        .map(|(client, server, shared)| {
            let name = format!("http2/grpc/client-on-{client}-server-on-{server}");
            Case::new(name, move |lab| calls(lab, client, shared))
        })
        .collect()
}

fn calls(lab: &Lab, transport: &str, server: Shared) -> Outcome {
    let port = lab.port(server, Security::Plain)?;
    let mut client = lab.rust("grpc-client");
    client.args([&port.to_string(), transport]);
    let printed = lab.run(&mut client, 60)?.success()?;
    let calls = "unary\nrefused\ncollect\nrepeat\nabandoned\nconverse\nin step\nat once";
    expect(&printed, calls)
}
