//! grpc-client PORT|unix:PATH tonic|lacewing: calls every method of the echo service, by
//! tonic's own transport (hyper) or by our client; prints one line for each.

use std::time::Duration;

use futures_util::stream;
use http::Uri;
use lacewing_client::{Client, Unix, Version};
use lacewing_interop_peers::echo::EchoClient;
use lacewing_interop_peers::{Error, Message};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Bytes, InterceptedService, StdError};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Messages of one stream.
const MANY: u64 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: grpc-client PORT|unix:PATH tonic|lacewing";
    let place = args.next().ok_or(usage)?;
    let transport = args.next().ok_or(usage)?;
    if let (Some(path), "lacewing") = (place.strip_prefix("unix:"), &transport[..]) {
        return tokio::time::timeout(Duration::from_secs(50), unix(path)).await?;
    }
    let port: u16 = place.parse()?;
    let origin: Uri = format!("http://127.0.0.1:{port}").parse()?;
    let calls = async {
        match &transport[..] {
            "tonic" => {
                let channel = Channel::builder(origin).connect().await?;
                every_method(EchoClient::new(channel)).await
            }
            "lacewing" => {
                let client = Client::builder().cleartext_protocol(Version::Http2).build();
                every_method(EchoClient::with_origin(client, origin)).await
            }
            _ => Err(usage.into()),
        }
    };
    tokio::time::timeout(Duration::from_secs(50), calls).await?
}

/// Over a Unix socket, with the authority that the C core sends there: the path of the socket,
/// percent-encoded.
async fn unix(path: &str) -> Result<(), Error> {
    let client = Client::builder()
        .cleartext_protocol(Version::Http2)
        .dial(Unix::new(path))
        .build();
    let host: AsciiMetadataValue = path.replace('/', "%2F").parse()?;
    let named = InterceptedService::new(client, move |mut request: Request<()>| {
        request.metadata_mut().insert("host", host.clone());
        Ok(request)
    });
    let origin = Uri::from_static("http://localhost");
    every_method(EchoClient::with_origin(named, origin)).await
}

/// What carries the calls.
trait Transport:
    GrpcService<
        Body,
        Future: Send,
        Error: Into<StdError>,
        ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<T> Transport for T where
    T: GrpcService<
            Body,
            Future: Send,
            Error: Into<StdError>,
            ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send>
                              + Send
                              + 'static,
        > + Clone
        + Send
        + 'static
{
}

async fn every_method(client: EchoClient<impl Transport>) -> Result<(), Error> {
    unary(client.clone()).await?;
    refused(client.clone()).await?;
    collect(client.clone()).await?;
    repeat(client.clone()).await?;
    abandoned(client.clone()).await?;
    converse(client.clone()).await?;
    in_step(client.clone()).await?;
    at_once(client).await
}

/// Messages from nearly empty to larger than any window at the start.
async fn unary(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    for size in [1, 100, 70_000, 3_000_000] {
        let sent = message(7, size);
        let answer = client.unary(Request::new(sent.clone())).await?;
        require(answer.get_ref() == &sent, "the echo differs")?;
    }
    println!("unary");
    Ok(())
}

/// A status without a message: one header block, which ends the stream.
async fn refused(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    let status = client
        .unary(Request::new(Message::default()))
        .await
        .unwrap_err();
    require(
        status.code() == Code::FailedPrecondition,
        status.to_string(),
    )?;
    require(
        status.message() == "no payload: 100 % empty",
        status.to_string(),
    )?;
    println!("refused");
    Ok(())
}

async fn collect(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    let sum = client.collect(Request::new(messages(MANY, 300))).await?;
    require(sum.get_ref() == &message(MANY, 300), "not all was counted")?;
    println!("collect");
    Ok(())
}

/// The status comes behind the messages, in trailers.
async fn repeat(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    let request = Request::new(message(MANY, 300));
    let mut answers = client.repeat(request).await?.into_inner();
    let mut came = 0;
    let status = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                require(answer.number == came, "out of order")?;
                came += 1;
            }
            Ok(None) => return Err("ended without a status".into()),
            Err(status) => break status,
        }
    };
    require(came == MANY, format!("{came} messages"))?;
    require(status.code() == Code::OutOfRange, status.to_string())?;
    println!("repeat");
    Ok(())
}

/// Streams that are dropped half-way do not take the connection with them.
async fn abandoned(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    for _ in 0..20 {
        let request = Request::new(message(1_000_000, 1000));
        let mut answers = client.repeat(request).await?.into_inner();
        for _ in 0..50 {
            require(answers.message().await?.is_some(), "ended too soon")?;
        }
    }
    println!("abandoned");
    Ok(())
}

/// Both ways at full speed.
async fn converse(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    let mut answers = client
        .converse(Request::new(messages(MANY, 300)))
        .await?
        .into_inner();
    let mut came = 0;
    while let Some(answer) = answers.message().await? {
        require(answer == message(came, 300), "the echo differs")?;
        came += 1;
    }
    require(came == MANY, format!("{came} messages"))?;
    println!("converse");
    Ok(())
}

/// Both ways in turns: each message is sent after the echo of the one
/// before, so that nothing may wait to be sent together.
async fn in_step(mut client: EchoClient<impl Transport>) -> Result<(), Error> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(message(0, 10)).await?;
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.converse(Request::new(requests)).await?.into_inner();
    for number in 1..2_000 {
        require(answers.message().await?.is_some(), "ended too soon")?;
        sender.send(message(number, 10)).await?;
    }
    drop(sender);
    require(answers.message().await?.is_some(), "the last is missing")?;
    require(answers.message().await?.is_none(), "more than was sent")?;
    println!("in step");
    Ok(())
}

/// Many calls at once on one connection: more than the server's limit.
async fn at_once(client: EchoClient<impl Transport>) -> Result<(), Error> {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..500 {
        let mut client = client.clone();
        calls.spawn(async move { client.unary(Request::new(message(number, 2_000))).await });
    }
    while let Some(answer) = calls.join_next().await {
        require(answer??.get_ref().payload.len() == 2_000, "a short echo")?;
    }
    println!("at once");
    Ok(())
}

fn messages(count: u64, size: usize) -> impl futures_util::Stream<Item = Message> {
    stream::iter((0..count).map(move |number| message(number, size)))
}

fn message(number: u64, size: usize) -> Message {
    let payload = vec![size as u8; size].into();
    Message { number, payload }
}

fn require(truth: bool, otherwise: impl Into<Error>) -> Result<(), Error> {
    if truth { Ok(()) } else { Err(otherwise.into()) }
}
