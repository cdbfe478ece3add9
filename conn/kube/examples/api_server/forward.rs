//! Forwards connections to ports of this machine.

use std::time::Duration;

use lacewing_kube::server::PortForwardSession;
use tokio::{net::TcpStream, time::timeout};

const CONNECT: Duration = Duration::from_secs(5);

pub(crate) async fn run(mut session: PortForwardSession) {
    let client_gone = session.cancellation();
    while let Some(forward) = session.accept().await {
        let client_gone = client_gone.clone();
        tokio::spawn(client_gone.run_until_cancelled_owned(async move {
            let address = ("127.0.0.1", forward.port());
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(mut pod)) => {
                    // A connection that breaks ends without a text: kubectl keeps the others.
                    let _ = forward.into_io().relay(&mut pod).await;
                }
                Ok(Err(error)) => {
                    let text = format!("error forwarding port {}: {error}", forward.port());
                    forward.fail(&text).await;
                }
                Err(_) => forward.fail("timed out connecting to the pod").await,
            }
        }));
    }
}
