//! gRPC by tonic, with a `Client` as its channel and a `Server` under its handlers. The codec takes
//! messages as they are, so that nothing is generated; a codec of prost stands in its place.
//!
//! ```text
//! cargo run -p lacewing-client --example grpc
//! ```

use std::{convert::Infallible, error::Error, future::Ready, io::Write};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use lacewing_client::{Client, Version};
use lacewing_server::{RequestBody, Server, service_fn};
use tonic::{
    Request, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::UnaryService,
};

const ECHO: &str = "/demo.Echo/Say";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    tokio::spawn(server.serve(service_fn(answer)));

    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let origin = format!("http://{address}").parse()?;
    let mut grpc = tonic::client::Grpc::with_origin(client, origin);
    for message in ["hello", ""] {
        grpc.ready().await?;
        let request = Request::new(Bytes::from(message));
        let path = PathAndQuery::from_static(ECHO);
        match grpc.unary(request, path, AsIs).await {
            Ok(response) => {
                let text = response.into_inner();
                writeln!(output, "{}", String::from_utf8_lossy(&text))?;
            }
            // A response of header fields alone, with the status of gRPC.
            Err(status) => writeln!(output, "{:?}: {}", status.code(), status.message())?,
        }
    }
    Ok(())
}

/// The service of the server.
async fn answer(
    request: http::Request<RequestBody>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    if request.uri().path() != ECHO {
        return Ok(Status::unimplemented("there is only Say").into_http());
    }
    Ok(tonic::server::Grpc::new(AsIs).unary(Echo, request).await)
}

struct Echo;

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        std::future::ready(match message.is_empty() {
            true => Err(Status::invalid_argument("say something")),
            false => Ok(Response::new(message)),
        })
    }
}

/// Messages are bytes.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs;

impl Codec for AsIs {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
