//! `lacewing get`: fetches URLs and uploads files.

use std::{future::poll_fn, pin::Pin, sync::Arc};

use http::{HeaderMap, Method, Request, Uri, header};
use http_body::Body as _;
use lacewing_client::{Client, Incoming, Origin, PushPolicy, Trust};
use tokio::task::JoinSet;

use crate::{
    args::Get,
    console,
    frame_log::Logging,
    output::{Destination, Plan},
    progress::{Meter, Quiet},
    pushes,
    status::Failure,
    upload::Upload,
};

/// Fetches every URL of the command line. Goes on after a failure; the first
/// one decides the exit code.
pub(crate) async fn run(get: Get) -> Result<(), Failure> {
    if get.data.as_deref() == Some("-".as_ref()) && get.urls.len() > 1 {
        return Err(Failure::usage("stdin can be uploaded to one URL only"));
    }
    let plan = Plan::new(&get)?;
    let quiet = if get.verbose {
        Quiet::Yes
    } else {
        plan.disturbed_by_progress()
    };
    let meter = Meter::new(quiet);
    let client = client(&get)?;
    let parallel = get.parallel;
    let get = Arc::new(get);
    let jobs = get.urls.clone().into_iter().zip(plan.into_destinations());
    let mut running = JoinSet::new();
    let mut failures = Vec::new();
    for (index, (url, destination)) in jobs.enumerate() {
        if running.len() >= parallel {
            failures.extend(finished(running.join_next().await));
        }
        if failures.iter().any(|(_, failure)| failure.is_unread()) {
            break;
        }
        let (client, get, meter) = (client.clone(), Arc::clone(&get), meter.clone());
        running.spawn(async move {
            let done = fetch(&client, &get, &url, destination, &meter).await;
            (index, done)
        });
    }
    while !running.is_empty() {
        failures.extend(finished(running.join_next().await));
    }
    meter.finish();
    drop(client);
    report(failures)
}

type Finished = Result<(usize, Result<(), Failure>), tokio::task::JoinError>;

fn finished(joined: Option<Finished>) -> Option<(usize, Failure)> {
    match joined? {
        Ok((_, Ok(()))) => None,
        Ok((index, Err(failure))) => Some((index, failure)),
        Err(error) => Some((usize::MAX, Failure::local(error))),
    }
}

/// Prints every failure; returns the exit code of the first.
fn report(mut failures: Vec<(usize, Failure)>) -> Result<(), Failure> {
    // A reader that has left needs no message.
    failures.retain(|(_, failure)| !failure.is_unread());
    failures.sort_by_key(|(index, _)| *index);
    let Some(first) = failures.first().map(|(_, failure)| failure.status()) else {
        return Ok(());
    };
    for (_, failure) in &failures {
        if let Some(message) = failure.message() {
            console::note(message);
        }
    }
    Err(Failure::quiet(first))
}

fn client(get: &Get) -> Result<Client, Failure> {
    let connector = get.dialling.connector(get.protocol)?;
    // One connection for each origin of the command line.
    let mut builder = Client::builder().max_connections(get.urls.len());
    if get.h2c_upgrade {
        builder = builder.h2c_upgrade();
    }
    if get.push {
        builder = builder.options(|options| options.accept_push(PushPolicy::default()));
    }
    Ok(if get.verbose {
        builder.connector(Logging::new(connector)).build()
    } else {
        builder.connector(connector).build()
    })
}

async fn fetch(
    client: &Client,
    get: &Get,
    url: &Uri,
    destination: Destination,
    meter: &Meter,
) -> Result<(), Failure> {
    let (upload, method) = match &get.data {
        Some(path) => (Upload::open(path, meter.clone()).await?, Method::POST),
        None => (Upload::none(), Method::GET),
    };
    let mut request = Request::new(upload);
    *request.method_mut() = get.method.clone().unwrap_or(method);
    *request.uri_mut() = url.clone();
    *request.headers_mut() = headers(get);
    if get.push {
        listen(client, url, get.dialling.trust()).await?;
    }
    let response = client
        .request(request)
        .await
        .map_err(|error| Failure::request(url, &error, get.dialling.trust()))?;
    let status = response.status();
    let body = response.into_body();
    if let Some(length) = body.size_hint().exact() {
        meter.set_total(length);
    }
    save(url, body, destination, meter).await?;
    if status.as_u16() >= 400 {
        return Err(Failure::http(url, status));
    }
    Ok(())
}

/// Connects before the request, so that no push is missed, and reports the pushes
/// of the connection.
async fn listen(client: &Client, url: &Uri, trust: Trust) -> Result<(), Failure> {
    let failed = |error| Failure::request(url, &error, trust);
    let origin = Origin::of(url).map_err(|error| failed(error.into()))?;
    let connection = client.connection(&origin).await.map_err(failed)?;
    tokio::spawn(pushes::report(connection.pushes()));
    Ok(())
}

fn headers(get: &Get) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
    headers.insert(
        header::USER_AGENT,
        header::HeaderValue::from_static(concat!("lacewing/", env!("CARGO_PKG_VERSION"))),
    );
    for (index, (name, value)) in get.headers.iter().enumerate() {
        // The first field with a name replaces the default; later ones are appended.
        let earlier = get
            .headers
            .iter()
            .take(index)
            .any(|(other, _)| other == name);
        if earlier {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
    headers
}

async fn save(
    url: &Uri,
    mut body: Incoming,
    destination: Destination,
    meter: &Meter,
) -> Result<(), Failure> {
    let mut sink = destination.open().await?;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Failure::response(url, &error))?;
        if let Ok(data) = frame.into_data() {
            meter.advance(data.len());
            sink.write(data).await?;
        }
    }
    sink.finish().await
}
