//! flood METHOD URL COUNT AT-ONCE: requests by our client, over HTTP/2 in
//! cleartext; prints how many were answered, and each kind of failure. With POST
//! each has a body that can be sent again.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Client, Version};
use lacewing_interop_peers::Error;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [method, url, count, at_once] = args.as_slice() else {
        return Err("usage: flood METHOD URL COUNT AT-ONCE".into());
    };
    let (count, at_once): (usize, usize) = (count.parse()?, at_once.parse()?);
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let body = match &method[..] {
        "POST" => Bytes::from_static(b"a question"),
        _ => Bytes::new(),
    };
    let mut answers = stream::iter(0..count)
        .map(|_| {
            let request = Request::builder().method(&method[..]).uri(&url[..]);
            answered(client.clone(), request.body(Full::new(body.clone())))
        })
        .buffer_unordered(at_once);
    let mut failures = BTreeMap::<String, usize>::new();
    let mut good = 0;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(()) => good += 1,
            Err(error) => *failures.entry(error.to_string()).or_default() += 1,
        }
    }
    println!("{good} of {count} answered");
    for (failure, times) in failures {
        println!("{times} times: {failure}");
    }
    Ok(())
}

async fn answered(
    client: Client,
    request: http::Result<Request<Full<Bytes>>>,
) -> Result<(), Error> {
    let response = client.request(request?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    match status {
        StatusCode::OK if body == "answered" => Ok(()),
        _ => Err(format!("{status}, {body:?}").into()),
    }
}
