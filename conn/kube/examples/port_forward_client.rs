//! Forwards a local port to a pod, as `kubectl port-forward` does, behind `kubectl proxy`
//! or the example `api_server`. A connection that fails ends alone.
//!
//! ```text
//! cargo run -p lacewing-kube --features client,websocket --example port_forward_client -- http://127.0.0.1:8001 mypod 8080
//! ```

use std::{error::Error, io::Write as _, sync::Arc};

use http::Uri;
use lacewing_kube::client::{ForwardRequest, Pod, PortForwardSession, StreamingProtocol};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, name, pod_port] = arguments.as_slice() else {
        return Err("usage: port_forward_client SERVER POD PORT".into());
    };
    let (server, pod_port): (Uri, u16) = (server.parse()?, pod_port.parse()?);
    let host = server.host().ok_or("the server has no host")?;
    let port = server.port_u16().unwrap_or(80);
    let pod = Pod {
        namespace: "default",
        name,
        container: None,
    };
    let request = ForwardRequest::of_pod(&server, pod)?
        .with(|request| request.transport = StreamingProtocol::WebSocketFirst);
    let session = request.connect(|| TcpStream::connect((host, port))).await?;
    let session = Arc::new(session);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let lost = session.cancellation();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (local, _) = accepted?;
                tokio::spawn(forward(local, Arc::clone(&session), pod_port));
            }
            () = lost.cancelled() => return Err("the connection to the server is lost".into()),
        }
    }
}

async fn forward(mut local: TcpStream, session: Arc<PortForwardSession>, port: u16) {
    let mut stderr = std::io::stderr();
    match session.open(port).await {
        Ok(mut stream) => {
            let _ = stream.relay(&mut local).await;
            if let Some(text) = stream.failure() {
                let _ = writeln!(stderr, "{text}");
            }
        }
        Err(error) => {
            let _ = writeln!(stderr, "{error}");
        }
    }
}
