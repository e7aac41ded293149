//! A job, put together by a program: text, variables, and what the program adds to them.

use std::path::Path;
use std::sync::Arc;

use catchment_contract::arrow::array::ArrayRef;
use catchment_contract::arrow::datatypes::{DataType, SchemaRef};
use catchment_contract::{Epoch, Error, Result, SinkConnector, SourceConnector};
use catchment_engine::UpdateStream;
use catchment_sql::{Extensions, OperatorSpec};
use catchment_store::Lake;
use timely::dataflow::Scope;

use crate::job::Job;
use crate::push::{Feed, PushConnector};
use crate::registry::registry;
use crate::subscription::{self, Subscription, SubscriptionConnector};
use crate::topics::TopicsLocation;

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A job that is being put together; see [`Job::builder`]. [`JobBuilder::check`] ends it.
pub struct JobBuilder {
    name: String,
    text: String,
    /// Asked from the last to the first.
    variables: Vec<Box<Variables>>,
    extensions: Extensions,
    sources: Vec<Arc<dyn SourceConnector>>,
    sinks: Vec<Arc<dyn SinkConnector>>,
    feeds: PushConnector,
    subscriptions: SubscriptionConnector,
    lake: Lake,
    topics: TopicsLocation,
}

/// Rows that a subscription holds before it is cut off.
const SUBSCRIPTION_ROWS_MAX: usize = 10_000_000;

impl JobBuilder {
    pub(crate) fn new(name: &str) -> JobBuilder {
        JobBuilder {
            name: name.into(),
            text: String::new(),
            variables: Vec::new(),
            extensions: Extensions::new(),
            sources: Vec::new(),
            sinks: Vec::new(),
            feeds: PushConnector::default(),
            subscriptions: SubscriptionConnector::default(),
            lake: Lake::default(),
            topics: TopicsLocation::default(),
        }
    }

    /// Adds statements to the job's text. Messages count lines from the first text's beginning.
    pub fn sql(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
        self
    }

    /// Adds the statements of a file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn sql_file(&mut self, path: &Path) -> Result<&mut Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format_args!("read the job file \"{}\"", path.display()), error))?;
        Ok(self.sql(&text))
    }

    /// Fills `${name}` in the text.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.variables(move |wanted| (wanted == name).then(|| value.clone()))
    }

    /// Asks `variables` for the values of `${NAME}`; what is said later comes first.
    pub fn variables(&mut self, variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> &mut Self {
        self.variables.push(Box::new(variables));
        self
    }

    /// Adds a connector that `CREATE SOURCE` may name.
    pub fn source(&mut self, connector: impl SourceConnector + 'static) -> &mut Self {
        self.sources.push(Arc::new(connector));
        self
    }

    /// Adds a connector that `CREATE SINK` may name.
    pub fn sink(&mut self, connector: impl SinkConnector + 'static) -> &mut Self {
        self.sinks.push(Arc::new(connector));
        self
    }

    /// Adds a scalar function: see [`Extensions::function`].
    pub fn function(
        &mut self,
        name: &str,
        arguments: &[DataType],
        result: DataType,
        logic: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> &mut Self {
        self.extensions.function(name, arguments, result, logic);
        self
    }

    /// Adds an operator: see [`Extensions::operator`].
    pub fn operator(
        &mut self,
        spec: OperatorSpec,
        build: impl for<'s> Fn(Scope<'s, Epoch>, Vec<UpdateStream<'s>>) -> UpdateStream<'s> + Send + Sync + 'static,
    ) -> &mut Self {
        self.extensions.operator(spec, build);
        self
    }

    /// Makes the feed `name` with the columns `schema` (strings `Utf8View`, instants `Timestamp(µs, "UTC")`), for
    /// `CREATE SOURCE … WITH (connector = 'push', feed = 'name')`. With a `key`, positions in the schema, a row replaces the
    /// one that has its key; without, every row is added.
    pub fn feed(&mut self, name: &str, schema: SchemaRef, key: &[usize]) -> Feed {
        let feed = Feed::new(name, schema, key, self.lake.environment());
        self.feeds.feeds.insert(name.to_owned(), feed.clone());
        feed
    }

    /// Delivers the changes of `view`, a source or a view of the text, to the program. At most ten million rows wait to be
    /// taken.
    pub fn subscribe(&mut self, view: &str) -> Subscription {
        self.subscribe_up_to(view, SUBSCRIPTION_ROWS_MAX)
    }

    /// As [`JobBuilder::subscribe`], with at most `rows_max` rows that wait to be taken.
    pub fn subscribe_up_to(&mut self, view: &str, rows_max: usize) -> Subscription {
        let made = Subscription::new(view, rows_max);
        // Of this process alone: a later run owes it nothing.
        let sink = format!("subscription_{}", self.lake.environment().unique_name());
        self.subscriptions.queues.insert(sink, made.queue());
        made
    }

    /// Where tables and checkpoints go; the folder `lake` if nothing is said. Its environment and its patience are those of the
    /// job's topics too.
    pub fn lake(&mut self, lake: Lake) -> &mut Self {
        self.lake = lake;
        self
    }

    /// Where topics are; an embedded broker below the lake if nothing is said.
    pub fn topics(&mut self, topics: TopicsLocation) -> &mut Self {
        self.topics = topics;
        self
    }

    /// Checks the job without touching disk or network.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] with line and column of what is wrong and what to write instead; without a place
    /// for what is wrong with the name or an extension.
    pub fn check(&mut self) -> Result<Job> {
        check_name(&self.name)?;
        let mut text = self.text.clone();
        for (sink, queue) in &self.subscriptions.queues {
            let view = queue.view().replace('"', "\"\"");
            text += &format!("CREATE SINK {sink} FROM \"{view}\" WITH (connector = '{}');\n", subscription::CONNECTOR);
        }
        let topics = self.topics.handle(&self.lake);
        let mut registry = registry(&topics, &self.lake);
        registry.sources.extend(self.sources.iter().cloned());
        registry.sources.push(Arc::new(std::mem::take(&mut self.feeds)));
        registry.sinks.extend(self.sinks.iter().cloned());
        registry.sinks.push(Arc::new(std::mem::take(&mut self.subscriptions)));
        let variables = |name: &str| self.variables.iter().rev().find_map(|variables| variables(name));
        let checked = catchment_sql::check_with(&text, &variables, &registry, &self.extensions)?;
        Ok(Job::new(&self.name, checked, topics, self.lake.clone()))
    }
}

fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    // Below `_catchment`, beside the folders of jobs, the embedded broker has its own.
    let taken = name == "topics";
    if name.is_empty() || name.starts_with('.') || !name.chars().all(valid) || taken {
        return Err(Error::user(format!("a job cannot be named \"{name}\""))
            .with_hint("name the job's file with letters, digits, \"_\", \"-\" and \".\" only, and not \"topics\""));
    }
    Ok(())
}
