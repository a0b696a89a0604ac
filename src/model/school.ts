import type { Faker, FakerOptions } from '@faker-js/faker';
import { faker as english } from '@faker-js/faker/locale/en';
import type { Document } from './document.ts';
import { upperFirst } from './naming.ts';

/** The "today" of the example data: the first day of a school year. */
const SCHOOL_REFERENCE_DATE: Date = new Date('2026-09-01T08:00:00.000Z');

export interface SchoolOptions {
  /** The same seed gives the same documents. */
  readonly seed: number;
  /** How many schools, each with its people and classes. */
  readonly schools: number;
  /** Students of each school; teachers, classes and enrolments follow from it. Default 60: about 320 documents a school. */
  readonly studentsPerSchool?: number | undefined;
}

/** A document as it is stored, with its `_id`, and the entity of `schema/example/school.graphql` it belongs to. */
export interface SchoolDocument {
  readonly entity: 'School' | 'Headmaster' | 'Teacher' | 'Class' | 'Student' | 'Enrolment';
  readonly document: Document;
}

const DAY_MS = 86_400_000;
const STUDENTS_PER_TEACHER = 8;
const KINDS = ['PRIMARY', 'SECONDARY', 'VOCATIONAL'] as const;
const SUBJECTS = [
  'ART',
  'BIOLOGY',
  'CHEMISTRY',
  'ENGLISH',
  'GEOGRAPHY',
  'HISTORY',
  'MATHEMATICS',
  'MUSIC',
  'PHYSICS',
  'SPORT',
] as const;
const WEEKDAYS = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY'] as const;
const LESSON_STARTS = ['08:30:00', '09:25:00', '10:30:00', '11:25:00', '13:30:00'] as const;
const LESSON_ENDS = ['09:15:00', '10:10:00', '11:15:00', '12:10:00', '14:15:00'] as const;
const MARKS = ['Test', 'Essay', 'Presentation', 'Homework', 'Project'] as const;

/**
 * Believable data for the example schema, at any size and without end in memory: a document refers only to documents
 * before it. Nothing in it can reach anybody: e-mail and web addresses are under `.example`, telephone numbers are those
 * kept for fiction.
 */
export function* generateSchool(options: SchoolOptions): Generator<SchoolDocument, void, undefined> {
  const generator = new SchoolGenerator(options);
  for (let index = 0; index < options.schools; index++) yield* generator.school(index);
}

class SchoolGenerator {
  readonly #fake: Faker;
  readonly #students: number;
  /** Documents made so far; makes ids and addresses unique. */
  #made = 0;

  constructor({ seed, studentsPerSchool = 60 }: SchoolOptions) {
    // An instance of its own, since seeding the shared one would reach into other users of it. The class is taken from the
    // instance because the package's main file loads all seventy languages.
    const OwnFaker = english.constructor as new (options: FakerOptions) => Faker;
    this.#fake = new OwnFaker({ locale: english.rawDefinitions, seed });
    this.#students = studentsPerSchool;
  }

  *school(index: number): Generator<SchoolDocument, void, undefined> {
    const fake = this.#fake;
    const city = fake.location.city();
    const kind = fake.helpers.arrayElement(KINDS);
    const schoolId = this.#id();
    const domain = `${plain(city)}-${index + 1}.example`;
    yield this.#school(schoolId, index, city, kind, domain);
    yield this.#headmaster(schoolId, domain);

    const teachers: string[] = [];
    for (let i = 0; i < Math.ceil(this.#students / STUDENTS_PER_TEACHER); i++) {
      const teacher = this.#teacher(schoolId, city, domain);
      teachers.push(String(teacher.document._id));
      yield teacher;
    }
    const classes: string[] = [];
    for (const teacherId of teachers) {
      for (let i = 0; i < 2; i++) {
        const group = this.#class(schoolId, teacherId, teachers);
        classes.push(String(group.document._id));
        yield group;
      }
    }
    for (let i = 0; i < this.#students; i++) {
      const student = this.#student(schoolId, city, domain);
      yield student;
      for (const classId of fake.helpers.arrayElements(classes, Math.min(4, classes.length))) {
        yield this.#enrolment(String(student.document._id), classId);
      }
    }
  }

  #school(_id: string, index: number, city: string, kind: (typeof KINDS)[number], domain: string): SchoolDocument {
    const office = { kind: 'OFFICE', name: 'School office', phone: this.#phone(), email: `office@${domain}` };
    return {
      entity: 'School',
      document: {
        _id,
        name: `${city} ${upperFirst(kind.toLowerCase())} School`,
        code: `S${String(index + 1).padStart(6, '0')}`,
        kind,
        foundedOn: this.#day(150 * 365, 5 * 365),
        website: `https://www.${domain}/`,
        address: this.#address(city),
        contacts: [office],
        ...stamps(this.#instant(4 * 365, 200)),
      },
    };
  }

  #headmaster(schoolId: string, domain: string): SchoolDocument {
    const { name, email } = this.#person(domain);
    const appointedOn = this.#day(15 * 365, 100);
    return {
      entity: 'Headmaster',
      document: { _id: this.#id(), name, email, phone: this.#phone(), appointedOn, schoolId },
    };
  }

  #teacher(schoolId: string, city: string, domain: string): SchoolDocument {
    const fake = this.#fake;
    return {
      entity: 'Teacher',
      document: {
        _id: this.#id(),
        ...this.#person(domain),
        phone: this.#phone(),
        subjects: fake.helpers.arrayElements(SUBJECTS, { min: 1, max: 3 }),
        salary: fake.number.int({ min: 2800, max: 6200 }) + 0.5,
        fullTime: fake.datatype.boolean(0.8),
        hiredOn: this.#day(20 * 365, 30),
        address: this.#address(city),
        schoolId,
        ...stamps(this.#instant(3 * 365, 30)),
      },
    };
  }

  #class(schoolId: string, teacherId: string, teachers: readonly string[]): SchoolDocument {
    const fake = this.#fake;
    const subject = fake.helpers.arrayElement(SUBJECTS);
    const grade = fake.number.int({ min: 1, max: 12 });
    const others = teachers.filter((id) => id !== teacherId);
    const days = fake.helpers.arrayElements(WEEKDAYS, { min: 2, max: 3 });
    return {
      entity: 'Class',
      document: {
        _id: this.#id(),
        name: `${upperFirst(subject.toLowerCase())} ${grade}${fake.helpers.arrayElement(['A', 'B', 'C'])}`,
        subject,
        year: SCHOOL_REFERENCE_DATE.getUTCFullYear(),
        room: `${fake.helpers.arrayElement(['A', 'B', 'C', 'D'])}${fake.number.int({ min: 100, max: 320 })}`,
        capacity: fake.number.int({ min: 20, max: 32 }),
        lessons: days.map((day) => {
          const hour = fake.number.int({ min: 0, max: LESSON_STARTS.length - 1 });
          return { day, startsAt: LESSON_STARTS[hour], endsAt: LESSON_ENDS[hour] };
        }),
        schoolId,
        teacherId,
        assistantIds: fake.helpers.arrayElements(others, { min: 0, max: Math.min(2, others.length) }),
      },
    };
  }

  #student(schoolId: string, city: string, domain: string): SchoolDocument {
    const fake = this.#fake;
    const grade = fake.number.int({ min: 1, max: 12 });
    const lastName = fake.person.lastName();
    const ageDays = (grade + 5) * 365;
    const [guardian, sex] = fake.helpers.arrayElement([['MOTHER', 'female'] as const, ['FATHER', 'male'] as const]);
    return {
      entity: 'Student',
      document: {
        _id: this.#id(),
        ...this.#person(`pupils.${domain}`, lastName),
        bornOn: this.#day(ageDays + 364, ageDays),
        grade,
        address: this.#address(city),
        guardians: [{ kind: guardian, name: `${fake.person.firstName(sex)} ${lastName}`, phone: this.#phone() }],
        schoolId,
        ...stamps(this.#instant(2 * 365, 30)),
      },
    };
  }

  #enrolment(studentId: string, classId: string): SchoolDocument {
    const fake = this.#fake;
    const marks = Array.from({ length: fake.number.int({ min: 0, max: 3 }) }, () => ({
      title: fake.helpers.arrayElement(MARKS),
      points: fake.number.int({ min: 60, max: 200 }) / 2,
      givenOn: this.#day(200, 1),
    }));
    return {
      entity: 'Enrolment',
      document: {
        _id: this.#id(),
        state: fake.helpers.weightedArrayElement([
          { value: 'ACTIVE', weight: 8 },
          { value: 'COMPLETED', weight: 1 },
          { value: 'WITHDRAWN', weight: 1 },
        ]),
        enrolledAt: this.#instant(300, 200),
        marks,
        studentId,
        classId,
      },
    };
  }

  /** A UUID of version 7: the time part counts documents, so that ids sort in the order of their making. */
  #id(): string {
    this.#made++;
    const time = (SCHOOL_REFERENCE_DATE.getTime() + this.#made).toString(16).padStart(12, '0');
    const random = this.#fake.string.hexadecimal({ length: 18, prefix: '', casing: 'lower' });
    return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6)}`;
  }

  #person(domain: string, lastName = this.#fake.person.lastName()): { name: string; email: string } {
    const firstName = this.#fake.person.firstName();
    const email = `${plain(firstName)}.${plain(lastName)}.${this.#made}@${domain}`;
    return { name: `${firstName} ${lastName}`, email };
  }

  /** 555-0100 to 555-0199 are never given out. */
  #phone(): string {
    const { number } = this.#fake;
    return `+1 ${number.int({ min: 201, max: 989 })}-555-01${String(number.int({ min: 0, max: 99 })).padStart(2, '0')}`;
  }

  #address(city: string): Document {
    const fake = this.#fake;
    return {
      street: `${fake.number.int({ min: 1, max: 240 })} ${fake.location.street()}`,
      city,
      postalCode: fake.location.zipCode('#####'),
      country: 'US',
      location: {
        latitude: fake.number.int({ min: 250_000, max: 480_000 }) / 10_000,
        longitude: fake.number.int({ min: -1_240_000, max: -700_000 }) / 10_000,
      },
    };
  }

  /** A day between `most` and `least` days before the reference date. */
  #day(most: number, least: number): Date {
    const today = SCHOOL_REFERENCE_DATE.getTime() - (SCHOOL_REFERENCE_DATE.getTime() % DAY_MS);
    return new Date(today - this.#fake.number.int({ min: least, max: most }) * DAY_MS);
  }

  #instant(mostDays: number, leastDays: number): Date {
    const ms = this.#fake.number.int({ min: leastDays * 86_400, max: mostDays * 86_400 }) * 1000;
    return new Date(SCHOOL_REFERENCE_DATE.getTime() - ms);
  }
}

function stamps(createdAt: Date): { createdAt: Date; updatedAt: Date } {
  return { createdAt, updatedAt: createdAt };
}

/** The letters of a name as they stand in an address. */
function plain(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '');
}
