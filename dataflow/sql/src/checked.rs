//! What is known of a job whose statements were read, each for itself. What follows from all of them together is
//! [`crate::shared`].

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::Schema;
use catchment_contract::reject::{REJECTS, rejects_schema};
use catchment_contract::{Error, Replace, SinkSpec, Source, ViewFacts};
use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;

use crate::alone::Known;
use crate::catalog::{Catalog, RelationId};
use crate::fault::Subject;
use crate::identity::Identity;
use crate::inspect::Landmarks;
use crate::plan::inline;
use crate::text::{Place, Text};

/// A job's statements, checked.
pub(crate) struct Checked<'a> {
    pub text: &'a Text,
    pub catalog: Catalog,
    pub sources: Vec<(String, Arc<dyn Source>)>,
    /// Each below those that it reads.
    pub views: Vec<View>,
    pub sinks: Vec<Sink>,
    /// Names of the connectors that sources and sinks are of.
    pub connectors: BTreeSet<String>,
    /// Whether no reject of a view is ever retracted.
    pub faults_append_only: bool,
}

/// A checked sink.
pub(crate) struct Sink {
    pub name: String,
    pub spec: Arc<dyn SinkSpec>,
    /// The relation that it takes.
    pub relation: RelationId,
    pub facts: ViewFacts,
}

/// A checked view.
pub(crate) struct View {
    pub name: String,
    pub place: Place,
    pub landmarks: Landmarks,
    /// Analysed, not optimised.
    pub plan: LogicalPlan,
    /// The optimised plan with other views as leaves, for `explain`.
    pub alone: String,
    pub facts: ViewFacts,
    pub identity: Identity,
    /// Whether it depends on the rejects.
    pub reads_rejects: bool,
    /// Whether it depends on no source.
    pub constant: bool,
    /// Whether it is an operator of one's own.
    pub operator: bool,
}

impl Checked<'_> {
    /// What is known of a relation.
    pub fn facts_of(&self, relation: RelationId) -> ViewFacts {
        match relation {
            RelationId::View(index) => self.views[index].facts.clone(),
            RelationId::Source(index) => {
                let (name, source) = &self.sources[index];
                let relation = source.relation();
                let key = match relation.replace {
                    Replace::Row => Some(relation.key.clone()),
                    Replace::Never | Replace::Payload => None,
                };
                let append_only = relation.replace == Replace::Never;
                ViewFacts { name: name.clone(), schema: relation.schema.clone(), key, append_only }
            }
            RelationId::Rejects => {
                let append_only = self.faults_append_only;
                ViewFacts { name: REJECTS.into(), schema: rejects_schema(), key: None, append_only }
            }
        }
    }

    /// The columns of a relation that a sink takes: all but a source's unlisted ones.
    pub fn listed(&self, relation: RelationId) -> Vec<usize> {
        let unlisted = match relation {
            RelationId::Source(index) => self.sources[index].1.unlisted(),
            RelationId::View(_) | RelationId::Rejects => Vec::new(),
        };
        let columns = self.facts_of(relation).schema.fields().len();
        (0..columns).filter(|column| !unlisted.contains(column)).collect()
    }

    /// What is known of a relation as a sink takes it.
    pub fn listed_facts_of(&self, relation: RelationId) -> ViewFacts {
        let ViewFacts { name, schema, key, append_only } = self.facts_of(relation);
        let listed = self.listed(relation);
        let fields: Vec<_> = listed.iter().map(|column| schema.fields()[*column].clone()).collect();
        let place = |column: &usize| listed.iter().position(|known| known == column);
        let key = key.and_then(|key| key.iter().map(place).collect());
        ViewFacts { name, schema: Arc::new(Schema::new(fields)), key, append_only }
    }

    /// What a view that reads a relation has to know of it.
    pub fn known(&self, relation: RelationId) -> Known {
        let identity = match relation {
            RelationId::View(index) => Some(self.views[index].identity.clone()),
            RelationId::Source(_) | RelationId::Rejects => None,
        };
        Known { facts: self.facts_of(relation), identity }
    }

    /// Whether a relation is the rejects, or depends on them.
    pub fn reads_rejects(&self, relation: RelationId) -> bool {
        match relation {
            RelationId::View(index) => self.views[index].reads_rejects,
            RelationId::Source(_) => false,
            RelationId::Rejects => true,
        }
    }

    /// The plan of a view that depends on no source.
    pub fn constant_view(&self, relation: RelationId) -> Option<LogicalPlan> {
        let RelationId::View(index) = relation else { return None };
        let view = &self.views[index];
        // Its own leaves are constant too, and were inlined before it was planned as a whole.
        view.constant.then(|| {
            let inlined = inline(view.plan.clone(), &|relation| self.constant_view(relation));
            inlined.unwrap_or_else(|_| view.plan.clone())
        })
    }

    /// Who is spoken of in messages about the n-th view.
    pub fn subject(&self, view: usize) -> Subject<'_> {
        let View { name, place, landmarks, .. } = &self.views[view];
        Subject { text: self.text, view: name, place: *place, landmarks }
    }

    /// An error of the planner about the n-th view.
    pub fn fault(&self, view: usize, error: &DataFusionError) -> Error {
        self.subject(view).planning(error)
    }
}
