"""Who says how good a text is: the person, the judges that a run never sees, and what is measured besides."""

from upperhand.judges.checked import Person as Person
from upperhand.judges.checked import checked as checked
from upperhand.judges.held_out import afinn as afinn
from upperhand.judges.held_out import learned as learned
from upperhand.judges.held_out import textblob as textblob
from upperhand.judges.masking import masked as masked
from upperhand.judges.measures import distinct_2 as distinct_2
from upperhand.judges.measures import mean_length as mean_length
from upperhand.judges.measures import repetition as repetition
from upperhand.judges.own import person_of as person_of
from upperhand.judges.teachers import Teacher as Teacher
from upperhand.judges.teachers import labels as labels
from upperhand.judges.vader import vader as vader
