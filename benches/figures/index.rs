use crate::Result;
pub(crate) const CHILD: &str = "--index";
pub(crate) fn run() -> Result<()> {
    Ok(())
}
pub(crate) fn run_child(_: &str, _: &str) -> Result<()> {
    Ok(())
}
