//! One try of a transfer: a request, and those after its redirects.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode, Uri, header};
use lacewing_client::{Client, Incoming, Origin};

use super::{
    answer::{Answer, Early, head_text},
    content,
    record::Exchange,
    redirect::{Target, With},
    resume::{resume, start_of},
    run::Run,
    save::{Output, save},
    write_out::Facts,
};
use crate::{
    output::{Destination, Start},
    status::{self, Failure},
};

/// A try of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// Another one may follow.
    Early,
    Last,
}

/// Fetches a URL into its destination.
pub(super) async fn fetch(
    run: &Run,
    facts: &mut Facts,
    mut target: Target,
    destination: &Destination,
    which: Try,
) -> Result<(), Failure> {
    let message = &run.get.message;
    let start = resume(run, destination, &mut target)?;
    let mut sink = Output::new(destination);
    loop {
        let Some(response) = ask(run, facts, &target).await? else {
            // Once more, in HTTP/1.1.
            continue;
        };
        let (head, body) = response.into_parts();
        let answer = Answer {
            status: head.status,
            version: head.version,
            fields: head.headers,
        };
        let status = answer.status;
        let next = target.location(status, &answer.fields);
        facts.redirect_url = next
            .as_ref()
            .ok()
            .and_then(|next| Some(next.as_ref()?.to_string()));
        let is_redirect = next.is_err() || facts.redirect_url.is_some();
        let goes_on = is_redirect && run.get.course.location;
        facts.answer = Some(answer.clone());
        if !goes_on && which == Try::Early && is_passing(status) {
            let after = retry_after(&answer);
            return Err(Failure::http(&target.url, status).passing(after));
        }
        let refused = status.as_u16() >= 400 && run.get.course.fail;
        if !goes_on && !refused {
            sink.start = start_of(&answer, start, &target.url)?;
            if run.get.output.naming.remote_header_name {
                sink.take_name(run, facts, &answer);
            }
        }
        for answer in std::mem::take(&mut facts.early) {
            sink.write(facts, head_text(&answer).into()).await?;
        }
        if (run.get.output.include || message.head) && !refused {
            sink.write(facts, head_text(&answer).into()).await?;
        }
        if goes_on {
            if let Some(next) = next? {
                follow(run, facts, &mut target, next)?;
            }
            continue;
        }
        if refused {
            return Err(Failure::http(&target.url, status));
        }
        if sink.start != Start::Complete {
            save(run, facts, body, &mut sink, &target).await?;
        }
        sink.finish(facts).await?;
        if status.as_u16() >= 400 && run.get.course.fail_with_body {
            return Err(Failure::http(&target.url, status));
        }
        return Ok(());
    }
}

/// Follows a redirect.
fn follow(run: &Run, facts: &mut Facts, target: &mut Target, next: Uri) -> Result<(), Failure> {
    let limit = run.get.course.max_redirs;
    if facts.redirects >= limit {
        let text = format!("{}: more than {limit} redirects (--max-redirs)", facts.url);
        return Err(Failure::new(status::REDIRECTS, text));
    }
    run.record(facts);
    facts.redirects = facts.redirects.saturating_add(1);
    let status = facts
        .answer
        .as_ref()
        .map_or(StatusCode::FOUND, |answer| answer.status);
    target.follow(status, next);
    if target.content == With::Content && run.content.is_stdin() {
        let text = format!("{}: stdin cannot be sent again after a redirect", facts.url);
        return Err(Failure::new(status::REWIND, text));
    }
    Ok(())
}

/// Sends a request. Returns `None` if the server turned out to speak HTTP/1.1 alone.
async fn ask(
    run: &Run,
    facts: &mut Facts,
    target: &Target,
) -> Result<Option<Response<Incoming>>, Failure> {
    let trust = run.get.dialling.trust();
    let connect = run.get.course.connect_timeout();
    let failed = |error| Failure::fetch(&target.url, &error, trust, connect);
    let origin = Origin::of(&target.url).map_err(|error| failed(error.into()))?;
    let mut upload = match target.content {
        With::Content => run.content.body(&run.meter).await?,
        With::Nothing => crate::upload::Upload::none(),
    };
    if target.content == With::Content {
        upload = upload.with_trailers(content::trailers(&run.get.message));
    }
    let sent = upload.sent();
    let mut request = Request::new(upload);
    *request.method_mut() = target.method.clone();
    *request.uri_mut() = target.url.clone();
    request.headers_mut().clone_from(&target.fields);
    if let Some(priority) = run.get.streams.priority {
        request.extensions_mut().insert(priority);
    }
    let early = Early::default();
    if run.get.output.include {
        request.extensions_mut().insert(early.listener());
    }
    facts.method.clone_from(&target.method);
    facts.effective.clone_from(&target.url);
    facts.times.request = Instant::now();
    facts.exchange = run.record.as_ref().map(|_| Exchange {
        method: target.method.clone(),
        fields: target.fields.clone(),
        ..Exchange::new(&target.url)
    });
    let (client, is_http1) = run.clients.of(&origin);
    if run.get.protocols.push {
        listen(run, client, &origin).await.map_err(failed)?;
    }
    run.clients.address_proxy(&origin, is_http1, &mut request);
    let response = client.request(request).await;
    facts.dial = run.dials.of(&origin);
    facts.uploaded = sent.bytes();
    match response {
        Ok(response) => {
            facts.times.answered = Some(Instant::now());
            facts.early = early.take();
            if let Some(exchange) = &mut facts.exchange {
                exchange.answered = facts.times.answered;
            }
            Ok(Some(response))
        }
        Err(error)
            if !is_http1
                && !run.content.is_stdin()
                && run.clients.fall_back(&origin, &target.method, &error) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Connects before the request, so that no push is missed, and reports the pushes
/// of the connection.
async fn listen(
    run: &Run,
    client: &Client,
    origin: &Origin,
) -> Result<(), lacewing_client::ClientError> {
    let connection = client.connection(origin).await?;
    tokio::spawn(Arc::clone(&run.pushed).read_all(connection.pushes()));
    Ok(())
}

/// The statuses after which another try may succeed.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The pause that the server asks for, in seconds.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.fields.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
