//! The way of a body into its destination.

use std::{future::poll_fn, pin::Pin};

use http::{Method, StatusCode, header};
use http_body::Body as _;
use lacewing_client::Incoming;

use super::{answer::Answer, attachment, page, redirect::Target, run::Run, write_out::Facts};
use crate::{
    capture::Captured,
    console,
    decoding::Coding,
    output::{Destination, Sink, Start},
    status::{self, Failure},
};

/// The destination, which is opened when the first bytes arrive.
pub(super) struct Output {
    destination: Destination,
    pub(super) start: Start,
    sink: Option<Sink>,
}

impl Output {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            destination: destination.clone(),
            start: Start::New,
            sink: None,
        }
    }

    /// Takes the name that the response gives its body, for -J.
    pub(super) fn take_name(&mut self, run: &Run, facts: &Facts, answer: &Answer) {
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

    pub(super) async fn write(
        &mut self,
        facts: &mut Facts,
        data: bytes::Bytes,
    ) -> Result<(), Failure> {
        // A file is written anew by the next try; stdout is not.
        facts.committed |=
            self.destination == Destination::Stdout || matches!(self.start, Start::At(_));
        self.open(facts).await?.write(data).await
    }

    pub(super) async fn finish(mut self, facts: &mut Facts) -> Result<(), Failure> {
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

/// Writes a body.
pub(super) async fn save(
    run: &Run,
    facts: &mut Facts,
    mut body: Incoming,
    sink: &mut Output,
    target: &Target,
) -> Result<(), Failure> {
    if let Some(length) = body.size_hint().exact() {
        run.meter.set_total(length);
    }
    let is_page = run.get.message.get_assets
        && sink.destination != Destination::Discard
        && facts
            .answer
            .as_ref()
            .is_some_and(|answer| answer.status == StatusCode::OK && page::is_html(&answer.fields));
    let page = is_page.then(Captured::default);
    let codings = match &facts.answer {
        Some(answer) if run.get.message.compressed => Coding::of(&answer.fields),
        _ => Ok(Vec::new()),
    };
    let codings = codings.map_err(|why| {
        let text = format!("{}: {why}", target.url);
        Failure::new(status::CODING, text)
    })?;
    // An empty file is a result too.
    let opened = sink.open(facts).await?;
    if let Some(page) = &page {
        // What is decoded passes it.
        opened.capture(page);
    }
    opened.decode(&codings);
    facts.page = page;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let received = facts.downloaded;
        let frame = frame.map_err(|error| Failure::response(&target.url, received, &error))?;
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
