//! Lists that come in pages.

use super::RemoteError;

/// Nobody has more of what is listed than so many messages hold.
const PAGES_MAX: usize = 64;

/// A list of which page after page is asked for.
#[derive(Debug)]
pub(super) struct Pages<T> {
    pub(super) all: Vec<T>,
    /// The name of the page to ask for; nothing behind the last one.
    wanted: Option<String>,
    asked: usize,
}

impl<T> Pages<T> {
    /// A list of which nothing has come.
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            wanted: Some(String::new()),
            asked: 0,
        }
    }

    /// The token of the page to ask for; nothing once all have come.
    ///
    /// # Errors
    /// If the list does not end.
    pub(super) fn wanted(&mut self) -> Result<Option<String>, RemoteError> {
        self.asked += 1;
        match self.wanted.take() {
            Some(_) if self.asked > PAGES_MAX => Err(RemoteError::TooLong),
            wanted => Ok(wanted),
        }
    }

    /// Takes a page and the token of the next one, which is empty behind the last.
    pub(super) fn add(&mut self, page: Vec<T>, next: String) {
        self.all.extend(page);
        self.wanted = Some(next).filter(|next| !next.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_whole_once_no_page_is_wanted() {
        let mut pages = Pages::new();
        assert_eq!(pages.wanted().unwrap().as_deref(), Some(""));
        pages.add(vec![1, 2], "b".into());
        assert_eq!(pages.wanted().unwrap().as_deref(), Some("b"));
        pages.add(vec![3], String::new());
        assert_eq!(pages.wanted().unwrap(), None);
        assert_eq!(pages.all, [1, 2, 3]);
    }

    #[test]
    fn a_list_without_an_end_is_refused() {
        let mut pages = Pages::new();
        let refusal = loop {
            match pages.wanted() {
                Ok(_) => pages.add(vec![0], "more".into()),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, RemoteError::TooLong));
        assert_eq!(pages.all.len(), PAGES_MAX);
    }
}
