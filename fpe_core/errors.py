"""Every error of the platform.

    FpeError
    ├── ConfigError                 exit 3   a YAML file does not say what it must
    │   ├── ConfigFileMissing
    │   ├── ConfigSyntaxError
    │   ├── ConfigKeyUnknown
    │   └── ConfigValueInvalid
    ├── DataError                   exit 4   the site's own files
    │   ├── CaseTableInvalid
    │   ├── NotEnoughCases
    │   ├── ImportFailed
    │   ├── SplitUnusable
    │   ├── ConformanceFailed
    │   └── CaseError                        one case is quarantined, the others go on
    │       ├── CaseFileMissing
    │       ├── CaseFileUnreadable
    │       ├── CaseNotVolume
    │       ├── CaseEmpty
    │       ├── CaseNonFinite
    │       ├── CaseSpacingImpossible
    │       ├── CaseModalityWrong
    │       ├── CaseSequenceMissing
    │       ├── CaseRegistrationFailed
    │       ├── CaseBrainMaskImplausible
    │       ├── CaseProcessingFailed
    │       ├── CaseSlicesMissing
    │       ├── CaseSlicesInconsistent
    │       ├── CaseHeaderIncomplete
    │       ├── CaseCompressionUnknown
    │       ├── CaseQualityFailed
    │       ├── CaseUnderReview
    │       ├── CaseRejected
    │       ├── RowIncomplete
    │       ├── RowValueOutOfRange
    │       ├── RowCodeUnmapped
    │       ├── RowCombinationImpossible
    │       ├── RowTwice
    │       ├── PatientTwice
    │       └── ImageTwice
    ├── ModelError                  exit 5
    │   ├── ModelUnknown
    │   ├── StateMismatch
    │   └── StateUnreadable
    ├── TrainingError               exit 5
    │   ├── TrainingDiverged
    │   ├── TrainingFailed
    │   └── PrivacyBudgetSpent
    ├── UpdateRefused               exit 6   the server refuses one site's update
    │   ├── UpdateNonFinite
    │   ├── UpdateKeysWrong
    │   ├── UpdateShapeWrong
    │   ├── UpdateWeightInvalid
    │   └── ProtocolVersionWrong
    ├── EgressRefused               exit 6   the gate refuses to let a reply out
    ├── FederationError             exit 7
    │   ├── QuorumLost
    │   ├── SiteLost
    │   ├── SiteOverdue
    │   ├── StudyRefused
    │   ├── StudyMismatch
    │   ├── CheckpointUnreadable
    │   ├── ServerNotRunning
    │   ├── ServerAlreadyRunning
    │   ├── AdmissionFailed
    │   ├── TrainerUnavailable
    │   ├── TrainerOverdue
    │   ├── ResultsUnreadable
    │   └── SiteAlreadyRunning
    └── ConnectionRefused           exit 10-16, one for each cause
        ├── ServerUnreachable       exit 10
        ├── CertificateUntrusted    exit 11
        ├── CertificateExpired      exit 12
        ├── CertificateNameWrong    exit 13
        ├── KeyNotAdmitted          exit 14
        ├── ClockSkewed             exit 15
        └── BundleRefused           exit 16

An error says to the person in front of the machine what was wrong, what was expected and what to do (`str(error)` and
`hint`). To anyone else it says its `code` and its `safe_sentence`, which are constants of the class: no path, id, date
or value can slip in.
"""

from typing import ClassVar


class FpeError(Exception):
    """Root of the tree. `code` and `safe_sentence` may leave the site; the message and the hint may not."""

    code: ClassVar[str] = "FPE-000"
    safe_sentence: ClassVar[str] = "Something failed that has no name yet; the site's own log says what."
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or self.safe_sentence)
        self.hint = hint


class ConfigError(FpeError):
    code = "FPE-100"
    safe_sentence = "A configuration file is wrong."
    exit_code = 3


class ConfigFileMissing(ConfigError):
    code = "FPE-101"
    safe_sentence = "A configuration file is missing."


class ConfigSyntaxError(ConfigError):
    code = "FPE-102"
    safe_sentence = "A configuration file is not valid YAML."


class ConfigKeyUnknown(ConfigError):
    code = "FPE-103"
    safe_sentence = "A configuration file has a key that is not known."


class ConfigValueInvalid(ConfigError):
    code = "FPE-104"
    safe_sentence = "A configuration file has a value that is not allowed."


class DataError(FpeError):
    code = "FPE-200"
    safe_sentence = "The site's data cannot be used as they are."
    exit_code = 4


class CaseTableInvalid(DataError):
    code = "FPE-201"
    safe_sentence = "The site's case table is not valid."


class NotEnoughCases(DataError):
    code = "FPE-202"
    safe_sentence = "The site has too few usable cases for this study."


class ImportFailed(DataError):
    code = "FPE-203"
    safe_sentence = "A folder to import is not laid out as expected."


class SplitUnusable(DataError):
    code = "FPE-204"
    safe_sentence = "A saved split of the patients is damaged or does not fit the cases."


class ConformanceFailed(DataError):
    code = "FPE-205"
    safe_sentence = "This installation preprocesses the reference case differently from what was recorded."


class CaseError(DataError):
    """One case cannot be used. Its `code` is the reason it is quarantined under."""

    code = "FPE-210"
    safe_sentence = "A case was quarantined."


class CaseFileMissing(CaseError):
    code = "FPE-211"
    safe_sentence = "An image file of a case is missing."


class CaseFileUnreadable(CaseError):
    code = "FPE-212"
    safe_sentence = "An image file is truncated or not an image."


class CaseNotVolume(CaseError):
    code = "FPE-213"
    safe_sentence = "An image is not one three-dimensional volume."


class CaseEmpty(CaseError):
    code = "FPE-214"
    safe_sentence = "An image is empty: every voxel has the same value."


class CaseNonFinite(CaseError):
    code = "FPE-215"
    safe_sentence = "An image holds NaN or infinite values."


class CaseSpacingImpossible(CaseError):
    code = "FPE-216"
    safe_sentence = "An image has a voxel size or an extent that no head scan has."


class CaseModalityWrong(CaseError):
    code = "FPE-217"
    safe_sentence = "An image's intensities do not fit its declared sequence."


class CaseSequenceMissing(CaseError):
    code = "FPE-218"
    safe_sentence = "A case lacks a sequence that the study needs."


class CaseRegistrationFailed(CaseError):
    code = "FPE-219"
    safe_sentence = "An image could not be registered to the template."


class CaseBrainMaskImplausible(CaseError):
    code = "FPE-220"
    safe_sentence = "Brain extraction gave a mask of implausible volume."


class CaseProcessingFailed(CaseError):
    code = "FPE-221"
    safe_sentence = "Preprocessing a case failed in a way that has no reason code of its own."


class CaseSlicesMissing(CaseError):
    code = "FPE-222"
    safe_sentence = "A series lacks more slices than can be filled in."


class CaseSlicesInconsistent(CaseError):
    code = "FPE-223"
    safe_sentence = "The slices of a series do not form one volume."


class CaseHeaderIncomplete(CaseError):
    code = "FPE-224"
    safe_sentence = "An image's header lacks what is needed to place it."


class CaseCompressionUnknown(CaseError):
    code = "FPE-225"
    safe_sentence = "An image is compressed in a way that cannot be read."


class CaseQualityFailed(CaseError):
    code = "FPE-226"
    safe_sentence = "A case failed the quality gate."


class CaseUnderReview(CaseError):
    code = "FPE-227"
    safe_sentence = "A case waits for a person to look at its picture."


class CaseRejected(CaseError):
    code = "FPE-228"
    safe_sentence = "A person rejected a case after looking at its picture."


class RowIncomplete(CaseError):
    code = "FPE-230"
    safe_sentence = "A row of the case table lacks a cell that it needs."


class RowValueOutOfRange(CaseError):
    code = "FPE-231"
    safe_sentence = "A row of the case table has a value outside its declared range."


class RowCodeUnmapped(CaseError):
    code = "FPE-232"
    safe_sentence = "A row of the case table has a code that nobody defined."


class RowCombinationImpossible(CaseError):
    code = "FPE-233"
    safe_sentence = "A row of the case table has values that cannot be true together."


class RowTwice(CaseError):
    code = "FPE-234"
    safe_sentence = "A case stands in the case table twice."


class PatientTwice(CaseError):
    code = "FPE-235"
    safe_sentence = "A patient stands in the case table twice for one treatment."


class ImageTwice(CaseError):
    code = "FPE-236"
    safe_sentence = "Two cases have the same image."


class ModelError(FpeError):
    code = "FPE-300"
    safe_sentence = "A model cannot be built or loaded."
    exit_code = 5


class ModelUnknown(ModelError):
    code = "FPE-301"
    safe_sentence = "The study names a model or an option that this version does not have."


class StateMismatch(ModelError):
    code = "FPE-302"
    safe_sentence = "Weights do not fit the model: names or shapes differ."


class StateUnreadable(ModelError):
    code = "FPE-303"
    safe_sentence = "A weights file or message is damaged."


class TrainingError(FpeError):
    code = "FPE-400"
    safe_sentence = "Training failed."
    exit_code = 5


class TrainingDiverged(TrainingError):
    code = "FPE-401"
    safe_sentence = "Training diverged: the loss is no longer a finite number."


class TrainingFailed(TrainingError):
    code = "FPE-402"
    safe_sentence = "Training stopped on an unexpected error; the site's own log says which."


class PrivacyBudgetSpent(TrainingError):
    code = "FPE-403"
    safe_sentence = "Another round would spend more privacy than the study allows."


class UpdateRefused(FpeError):
    code = "FPE-500"
    safe_sentence = "A site's update was refused."
    exit_code = 6


class UpdateNonFinite(UpdateRefused):
    code = "FPE-501"
    safe_sentence = "A site's update holds NaN or infinite values."


class UpdateKeysWrong(UpdateRefused):
    code = "FPE-502"
    safe_sentence = "A site's update names tensors that the model does not have, or lacks some."


class UpdateShapeWrong(UpdateRefused):
    code = "FPE-503"
    safe_sentence = "A site's update has tensors of the wrong shape."


class UpdateWeightInvalid(UpdateRefused):
    code = "FPE-504"
    safe_sentence = "A site's update counts no case."


class ProtocolVersionWrong(UpdateRefused):
    code = "FPE-505"
    safe_sentence = "Server and site speak different versions of the protocol."


class EgressRefused(FpeError):
    code = "FPE-510"
    safe_sentence = "The site's egress gate refused to let a reply out."
    exit_code = 6


class FederationError(FpeError):
    code = "FPE-600"
    safe_sentence = "The federation cannot go on."
    exit_code = 7


class QuorumLost(FederationError):
    code = "FPE-601"
    safe_sentence = "Too few sites answered before the deadline."


class SiteLost(FederationError):
    code = "FPE-602"
    safe_sentence = "A site lost its connection and did not come back in time."


class SiteOverdue(FederationError):
    code = "FPE-603"
    safe_sentence = "A site did not answer before the deadline."


class StudyRefused(FederationError):
    code = "FPE-604"
    safe_sentence = "The site's policy does not allow this study."


class StudyMismatch(FederationError):
    code = "FPE-613"
    safe_sentence = "The site preprocesses or labels its cases differently from the study's plan."


class CheckpointUnreadable(FederationError):
    code = "FPE-605"
    safe_sentence = "A checkpoint is damaged or belongs to another study."


class ServerNotRunning(FederationError):
    code = "FPE-606"
    safe_sentence = "The federation server is not running."


class ServerAlreadyRunning(FederationError):
    code = "FPE-607"
    safe_sentence = "The federation server is running already."


class AdmissionFailed(FederationError):
    code = "FPE-608"
    safe_sentence = "A site's key could not be admitted."


class TrainerUnavailable(FederationError):
    code = "FPE-609"
    safe_sentence = "The site's trainer process is not available."


class TrainerOverdue(FederationError):
    code = "FPE-610"
    safe_sentence = "The site's trainer was overdue and has been stopped."


class ResultsUnreadable(FederationError):
    code = "FPE-611"
    safe_sentence = "A results file is missing, damaged or of another version."


class SiteAlreadyRunning(FederationError):
    code = "FPE-612"
    safe_sentence = "Another client works on this site's folder already."


class ConnectionRefused(FpeError):
    code = "FPE-700"
    safe_sentence = "The connection to the federation server was refused."
    exit_code = 10


class ServerUnreachable(ConnectionRefused):
    code = "FPE-701"
    safe_sentence = "The federation server cannot be reached."
    exit_code = 10


class CertificateUntrusted(ConnectionRefused):
    code = "FPE-702"
    safe_sentence = "The server's certificate is not signed by the expected authority."
    exit_code = 11


class CertificateExpired(ConnectionRefused):
    code = "FPE-703"
    safe_sentence = "The server's certificate is expired or not yet valid."
    exit_code = 12


class CertificateNameWrong(ConnectionRefused):
    code = "FPE-704"
    safe_sentence = "The server's certificate is for another name."
    exit_code = 13


class KeyNotAdmitted(ConnectionRefused):
    code = "FPE-705"
    safe_sentence = "The site's key has not been admitted by the coordinator."
    exit_code = 14


class ClockSkewed(ConnectionRefused):
    code = "FPE-706"
    safe_sentence = "The site's clock and the server's clock disagree."
    exit_code = 15


class BundleRefused(ConnectionRefused):
    code = "FPE-707"
    safe_sentence = "The server offered an app bundle that this site does not trust."
    exit_code = 16
