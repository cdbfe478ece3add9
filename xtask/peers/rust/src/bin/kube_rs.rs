//! kube-rs as a client of port-forward: WebSocket channels. `kube_rs SERVER PORT PATH` prints the
//! digest of what an HTTP/1.1 server on the port sends for the path, or the text of a failure.

use k8s_openapi::api::core::v1::Pod;
use kube_client::{Api, Client, Config};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, port, path] = arguments.as_slice() else {
        return Err("usage: kube_rs SERVER PORT PATH".into());
    };
    let port: u16 = port.parse()?;
    let client = Client::try_from(Config::new(server.parse()?))?;
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let mut forwarder = pods.portforward("mypod", &[port]).await?;
    let failure = forwarder.take_error(port).ok_or("no channel of errors")?;
    let mut stream = forwarder.take_stream(port).ok_or("no channel of data")?;
    let download = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        Ok::<_, BoxError>(response)
    };
    let response = tokio::select! {
        biased;
        Some(text) = failure => {
            println!("failure: {text}");
            return Ok(());
        }
        response = download => response?,
    };
    let head = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = &response[head.ok_or("no response")? + 4..];
    let digest: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("{} bytes {digest}", body.len());
    Ok(())
}
