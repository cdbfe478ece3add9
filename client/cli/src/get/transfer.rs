//! The fetch of one URL: tries, redirects, and the way of the body into its destination.

use std::{
    future::poll_fn,
    pin::Pin,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use lacewing_client::{Client, Incoming, Origin};

use super::{
    answer::{Answer, head_text},
    attachment,
    clients::Clients,
    content::{self, Content},
    dials::Dials,
    options::Get,
    pushes,
    record::{Exchange, Record},
    redirect::{Target, With},
    write_out::{Facts, Format},
};
use crate::{
    console,
    decoding::Coding,
    output::{Destination, Sink, Start},
    progress::Meter,
    status::{self, Failure},
};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What all fetches of a run share.
pub(super) struct Run {
    pub(super) get: Get,
    pub(super) clients: Clients,
    pub(super) content: Content,
    pub(super) format: Option<Format>,
    pub(super) meter: Meter,
    pub(super) dials: Dials,
    /// With --har or --stat.
    pub(super) record: Option<Record>,
}

impl Run {
    /// Records the request that ended.
    fn record(&self, facts: &mut Facts) {
        if let (Some(record), Some(exchange)) = (&self.record, facts.end_exchange()) {
            record.push(exchange);
        }
    }
}

/// A try of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    /// Another one may follow.
    Early,
    Last,
}

/// Fetches a URL into its destination.
pub(super) async fn transfer(
    run: &Run,
    number: usize,
    url: &Uri,
    destination: &Destination,
) -> Result<(), Failure> {
    let course = &run.get.course;
    let mut tries = 0;
    let mut file = None;
    loop {
        let mut facts = Facts::new(url, number);
        facts.earlier_file = file.take();
        let may_repeat = tries < course.retry && !run.content.is_stdin();
        let which = if may_repeat { Try::Early } else { Try::Last };
        let fetching = fetch(run, &mut facts, destination, which);
        let done = match course.max_time {
            None => fetching.await,
            Some(limit) => match tokio::time::timeout(limit, fetching).await {
                Ok(done) => done,
                Err(_) => Err(Failure::too_slow(url, limit)),
            },
        };
        facts.times.end = Some(Instant::now());
        if let Err(failure) = &done {
            let text = failure.message().unwrap_or_default().to_owned();
            facts.failure = Some((failure.status(), text));
        }
        run.record(&mut facts);
        if let Err(failure) = &done
            && may_repeat
            && !facts.committed
            && failure.is_passing()
        {
            let pause = course
                .retry_delay
                .or(failure.retry_after())
                .unwrap_or_else(|| {
                    Duration::from_secs(1)
                        .saturating_mul(1 << tries.min(16))
                        .min(LONGEST_PAUSE)
                });
            if !run.get.telling.silent {
                let text = failure.message().unwrap_or_default();
                console::note(format_args!("{text}; trying again in {pause:?}"));
            }
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            tries = tries.saturating_add(1);
            file = facts.file;
            continue;
        }
        let unread = done.as_ref().is_err_and(Failure::is_unread);
        if let Some(format) = run.format.as_ref().filter(|_| !unread) {
            format.print(&facts)?;
        }
        return done;
    }
}

async fn fetch(
    run: &Run,
    facts: &mut Facts,
    destination: &Destination,
    which: Try,
) -> Result<(), Failure> {
    let message = &run.get.message;
    let mut target = Target {
        method: content::method(message),
        url: facts.url.clone(),
        fields: content::fields(message),
        content: With::Content,
    };
    let start = resume(run, destination, &mut target)?;
    let mut sink = Output {
        destination: destination.clone(),
        start: Start::New,
        sink: None,
    };
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
    let failed = |error| Failure::request(&target.url, &error, trust);
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
    facts.method.clone_from(&target.method);
    facts.effective.clone_from(&target.url);
    facts.times.request = Instant::now();
    let now = Instant::now();
    facts.exchange = run.record.as_ref().map(|_| Exchange {
        began: SystemTime::now(),
        start: now,
        method: target.method.clone(),
        url: target.url.clone(),
        fields: target.fields.clone(),
        dial: None,
        answered: None,
        answer: None,
        uploaded: 0,
        downloaded: 0,
        end: now,
        error: None,
    });
    let (client, is_http1) = run.clients.of(&origin);
    if run.get.protocols.push {
        listen(client, &origin).await.map_err(failed)?;
    }
    let response = client.request(request).await;
    facts.dial = run.dials.of(&origin);
    facts.uploaded = sent.bytes();
    match response {
        Ok(response) => {
            facts.times.answered = Some(Instant::now());
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
async fn listen(client: &Client, origin: &Origin) -> Result<(), lacewing_client::ClientError> {
    let connection = client.connection(origin).await?;
    tokio::spawn(pushes::report(connection.pushes()));
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

/// Adds the range of --continue-at. Returns the bytes that are there already.
fn resume(run: &Run, destination: &Destination, target: &mut Target) -> Result<u64, Failure> {
    let Some(at) = &run.get.output.continue_at else {
        return Ok(0);
    };
    let Destination::File(path) = destination else {
        return Err(Failure::usage(
            "--continue-at needs a file: add -o FILE or -O",
        ));
    };
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let at = match at.as_str() {
        "-" => length,
        number => number
            .parse()
            .map_err(|_| Failure::usage("--continue-at needs a number of bytes, or -"))?,
    };
    if at > length {
        return Err(Failure::usage(format!(
            "--continue-at {at}: {} has only {length} bytes",
            path.display()
        )));
    }
    let range = HeaderValue::from_str(&format!("bytes={at}-"));
    if let Some(range) = range.ok().filter(|_| at > 0) {
        target.fields.insert(header::RANGE, range);
    }
    Ok(at)
}

/// Decides where the body of a final response goes, for a download that resumes at this byte.
fn start_of(answer: &Answer, at: u64, url: &Uri) -> Result<Start, Failure> {
    if at == 0 {
        return Ok(Start::New);
    }
    let range = answer
        .fields
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let range = range
        .and_then(|range| range.strip_prefix("bytes "))
        .unwrap_or_default();
    let wrong = |why: &str| {
        let text = format!("{url}: the download cannot be resumed at byte {at}: {why}");
        Err(Failure::new(status::RANGE, text))
    };
    match answer.status {
        StatusCode::PARTIAL_CONTENT if range.split('-').next() == Some(at.to_string().as_str()) => {
            Ok(Start::At(at))
        }
        StatusCode::PARTIAL_CONTENT => wrong("the server sent another range"),
        StatusCode::RANGE_NOT_SATISFIABLE
            if range.strip_prefix("*/") == Some(at.to_string().as_str()) =>
        {
            Ok(Start::Complete)
        }
        status if status.is_success() => {
            wrong("the server sends the whole; remove the file, or leave out --continue-at")
        }
        status => Err(Failure::http(url, status)),
    }
}

/// The destination, which is opened when the first bytes arrive.
struct Output {
    destination: Destination,
    start: Start,
    sink: Option<Sink>,
}

impl Output {
    /// Takes the name that the response gives its body, for -J.
    fn take_name(&mut self, run: &Run, facts: &Facts, answer: &Answer) {
        if let Some(name) = attachment::file_name(&answer.fields) {
            self.destination = Destination::File(name.into());
        }
        let Destination::File(path) = &self.destination else {
            return;
        };
        let own = facts.earlier_file.as_ref() == Some(path);
        if !own && !run.get.output.naming.clobber {
            self.start = Start::Fresh;
        }
        if !run.get.telling.silent {
            console::note(format_args!("{}: into {}", facts.url, path.display()));
        }
    }

    async fn open(&mut self, facts: &mut Facts) -> Result<&mut Sink, Failure> {
        let sink = match self.sink.take() {
            Some(sink) => sink,
            None => {
                let sink = self.destination.clone().open(self.start).await?;
                if let Destination::File(path) = &self.destination {
                    facts.file = Some(path.clone());
                }
                sink
            }
        };
        Ok(self.sink.insert(sink))
    }

    async fn write(&mut self, facts: &mut Facts, data: bytes::Bytes) -> Result<(), Failure> {
        // A file is written anew by the next try; stdout is not.
        facts.committed |=
            self.destination == Destination::Stdout || matches!(self.start, Start::At(_));
        self.open(facts).await?.write(data).await
    }

    async fn finish(mut self, facts: &mut Facts) -> Result<(), Failure> {
        if self.start == Start::Complete {
            return Ok(());
        }
        self.open(facts).await?;
        match self.sink {
            Some(sink) => sink.finish().await,
            None => Ok(()),
        }
    }
}

async fn save(
    run: &Run,
    facts: &mut Facts,
    mut body: Incoming,
    sink: &mut Output,
    target: &Target,
) -> Result<(), Failure> {
    if let Some(length) = body.size_hint().exact() {
        run.meter.set_total(length);
    }
    let codings = match &facts.answer {
        Some(answer) if run.get.message.compressed => Coding::of(&answer.fields),
        _ => Ok(Vec::new()),
    };
    let codings = codings.map_err(|why| {
        let text = format!("{}: {why}", target.url);
        Failure::new(status::CODING, text)
    })?;
    // An empty file is a result too.
    sink.open(facts).await?.decode(&codings);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Failure::response(&target.url, &error))?;
        if let Ok(data) = frame.into_data() {
            run.meter.advance(data.len());
            facts.downloaded = facts.downloaded.saturating_add(data.len() as u64);
            sink.write(facts, data).await?;
        }
    }
    match declared(facts, &target.method) {
        Some(length) if facts.downloaded < length => {
            let text = format!(
                "{}: the body is not complete: {} bytes of {length} (content-length)",
                target.url, facts.downloaded
            );
            Err(Failure::new(status::PARTIAL, text))
        }
        _ => Ok(()),
    }
}

/// The length of the body, if the response declares one.
fn declared(facts: &Facts, method: &Method) -> Option<u64> {
    let answer = facts.answer.as_ref()?;
    if *method == Method::HEAD || matches!(answer.status.as_u16(), 204 | 304) {
        return None;
    }
    let length = answer.fields.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
