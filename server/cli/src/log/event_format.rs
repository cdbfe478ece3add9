//! The look of events: as `tracing-subscriber` shows them, or an object of JSON a line.

use std::fmt;

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, Full, Writer},
    },
    registry::LookupSpan,
};

use super::{Format, Look, escape, json};

/// Writes events in the present format of the log.
pub(super) struct EventFormat {
    look: Look,
    text: format::Format<Full>,
}

impl EventFormat {
    pub(super) fn new(look: Look) -> Self {
        let text = format::Format::default().with_target(false);
        Self { look, text }
    }
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.look.format() != Format::Json {
            return self.text.format_event(context, writer, event);
        }
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        json::write_start(&mut writer, &level)?;
        let mut members = Members(String::new());
        event.record(&mut members);
        writeln!(writer, "{}}}", members.0)
    }
}

/// The members of an object, each with a comma before it.
struct Members(String);

impl Visit for Members {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = match field.name() {
            "message" => "msg",
            name => name,
        };
        self.0.push(',');
        // A text takes every write.
        let _ = escape::json(&mut self.0, name);
        self.0.push(':');
        let _ = escape::json(&mut self.0, &format!("{value:?}"));
    }
}
