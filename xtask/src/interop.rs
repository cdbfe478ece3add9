//! x
pub(crate) fn run(_: &[String]) -> Result<(), String> {
    Err("not there yet".into())
}
