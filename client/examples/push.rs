//! Server push: the server sends a style sheet with the page that needs it, and the client does
//! not request it. Browsers accept no pushes any more; between programs of one's own they save a round trip.
//!
//! ```text
//! cargo run -p lacewing-client --example push
//! ```

use std::{error::Error, io::Write};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, Origin, PushPolicy, Version};
use lacewing_server::{BoxError, Extension, Pusher, RequestBody, Server, service_fn};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .options(|options| options.pusher(Extension::Insert))
        .build()
        .await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    tokio::spawn(server.serve(service_fn(site)));

    // HTTP/2, SPDY/3.1, SPDY/3 and SPDY/2 all have it.
    for version in Version::ALL {
        let client = Client::builder()
            .cleartext_protocol(version)
            .options(|options| options.accept_push(PushPolicy::default()))
            .build();
        let page = format!("http://{address}/page").parse()?;
        // Before the request, so that no push is missed.
        let connection = client.connection(&Origin::of(&page)?).await?;
        let mut pushes = connection.pushes();
        let response = client
            .request(Request::get(page).body(Body::empty())?)
            .await?;
        let page = response.into_body().collect().await?.to_bytes();
        let pushed = pushes.next().await.ok_or("nothing was pushed")?;
        let path = pushed.request.uri().path().to_owned();
        let sheet = pushed
            .response
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes();
        writeln!(
            output,
            "{version}: a page of {} bytes, and {path} of {} bytes",
            page.len(),
            sheet.len()
        )?;
    }
    Ok(())
}

/// Answers the page, and its own promise of the style sheet.
async fn site(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
    if request.uri().path() == "/style.css" {
        return Ok(Response::new("body { color: teal }".to_owned()));
    }
    // There is none if the client accepts no pushes.
    if let Some(pusher) = request.extensions().get::<Pusher>() {
        let promise = Request::get("/style.css").body(())?;
        pusher.push(promise).await?;
    }
    Ok(Response::new(
        "<link rel=stylesheet href=/style.css>".to_owned(),
    ))
}
