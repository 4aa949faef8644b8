//! What is said again and again is said once.

use std::error::Error;

use longshore_service::error_text::with_sources;

/// How it went to ask somebody, as it was last said.
#[derive(Debug, Default)]
pub struct Telling(Option<String>);

impl Telling {
    /// It went wrong; whether it did not the last time, or otherwise.
    pub fn is_news(&mut self, error: &(dyn Error + 'static)) -> bool {
        let text = with_sources(error);
        let is_news = self.0.as_ref() != Some(&text);
        self.0 = Some(text);
        is_news
    }

    /// It went well; whether it had gone wrong before.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_failure_is_news_once_and_then_when_it_is_another() {
        let (mut telling, refused) = (Telling::default(), io::Error::other("refused"));
        assert!(!telling.is_over(), "nothing was said yet");
        let told: Vec<_> = [&refused, &refused, &io::Error::other("reset"), &refused].map(|error| telling.is_news(error)).into();
        assert_eq!(told, [true, false, true, true]);
        assert_eq!([telling.is_over(), telling.is_over()], [true, false]);
        assert!(telling.is_news(&refused));
    }
}
